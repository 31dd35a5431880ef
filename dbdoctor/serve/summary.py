"""From a judged look to what is shown of it: figures, never texts that a server or a client wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import LeaksReport, Verdict
from dbdoctor.model.session import ABORTED, IDLE_IN_TRANSACTION
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.rules import slots
from dbdoctor.serve.labels import Places
from dbdoctor.serve.state import Counts, Failed, Seen, StageTime


def summarise(snapshot: Snapshot, report: LeaksReport, places: Places, now: float, *, sees_ghosts: bool) -> Seen:
    """What a look saw, `now` by the monotonic clock.

    `sees_ghosts` says whether a client that is gone could have been noticed from here at all.
    """
    groups = report.groups
    resting = [s for s in snapshot.sessions if s.state in (IDLE_IN_TRANSACTION, ABORTED) and s.changed_at is not None]
    hidden = any(session.hidden for session in snapshot.sessions)
    longest = max((snapshot.at - (session.changed_at or snapshot.at) for session in resting), default=0.0)
    began = [s.transaction_at for s in snapshot.sessions if s.transaction_at is not None]
    oldest = snapshot.at - min(began, default=snapshot.at)
    verdicts = Counter(group.verdict for group in groups)
    return Seen(
        at=snapshot.at,
        took=snapshot.took,
        counts=Counts(
            sum(group.active for group in groups),
            sum(group.idle for group in groups),
            sum(group.idle_in_transaction for group in groups),
            sum(group.hidden for group in groups),
        ),
        verdicts={verdict: verdicts[verdict] for verdict in Verdict},
        groups=places.settle(groups, now),
        slots=report.slots,
        exhausted_in=report.forecast.seconds if report.forecast else None,
        longest_idle_in_transaction=None if hidden and not resting else max(0.0, longest),
        oldest_transaction=None if hidden and not began else max(0.0, oldest),
        ghosts=len(snapshot.clients_gone) if sees_ghosts else None,
        ended=snapshot.ended,
    )


def count_findings(examination: Examination, report: LeaksReport | None) -> Mapping[tuple[str, str], int]:
    """How many findings there are by code and severity; of the slots the newer look tells."""
    findings: list[Finding] = list(examination.findings)
    if report is not None:
        findings = [finding for finding in findings if finding.code not in slots.CODES]
        findings += report.findings
    return Counter((finding.code, finding.severity.value) for finding in findings)


def failed_of(examination: Examination) -> Failed:
    """Where an examination as the probe gave it (nothing judged yet) failed."""
    stage = next((stage for stage in reversed(examination.stages) if not stage.ok), None)
    code = examination.findings[0].code if examination.findings else "internal-error"
    return Failed(stage.name.value if stage else "connect", code)


def times_of(examination: Examination) -> tuple[StageTime, ...]:
    """How long each stage took; one that was gone through twice counts as a whole."""
    return tuple(_added((stage.name.value, stage.seconds) for stage in examination.stages))


def _added(stages: Iterable[tuple[str, float]]) -> Iterable[StageTime]:
    whole: dict[str, float] = {}
    for name, seconds in stages:
        whole[name] = whole.get(name, 0.0) + seconds
    return (StageTime(name, seconds) for name, seconds in whole.items())
