"""From the rules' answers to the report: a verdict a group, the forecast, the order in which it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.leaks import GroupKey, GroupReport, HeldAt, LeaksReport, SessionReport, Verdict
from dbdoctor.model.session import Identity
from dbdoctor.rules.sessions._forecast import forecast, forecast_finding
from dbdoctor.rules.sessions._recorded import (
    held_at,
    partly_known,
    settled,
    what_recorder_says,
    why_settled,
    with_lines,
)
from dbdoctor.rules.sessions._watched import Group, Judged, Watched

_COUNTS_SHOWN = 60


def make_report(watched: Watched, judged: list[Judged], skipped: list[Skipped], *, with_sessions: bool) -> LeaksReport:
    """The whole answer."""
    judged = [with_lines(one, watched) for one in judged]
    of_group: dict[GroupKey, list[Judged]] = {}
    for one in judged:
        if one.group is not None:
            of_group.setdefault(one.group, []).append(one)
    groups = [_group_report(group, of_group.get(group.key, []), watched) for group in watched.groups]
    groups = [group for group in groups if group.sessions or group.verdict is not Verdict.OK]
    groups.sort(key=lambda group: (-group.verdict.rank, -group.idle_in_transaction, -group.sessions, group.shown))
    slots = watched.history.slots
    ahead = forecast(slots, groups)
    findings = [one.finding for one in judged]
    findings += forecast_finding(ahead, slots, watched)
    findings += _slots(watched, skipped)
    return LeaksReport(
        target=watched.target.shown,
        observed=watched.history.observed,
        slots=slots,
        forecast=ahead,
        groups=tuple(groups),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity.rank)),
        skipped=tuple(dict.fromkeys(skipped)),
        sessions=tuple(_session_reports(watched, judged)) if with_sessions else (),
        facts=watched.facts,
        notes=tuple(_notes(watched)),
    )


def _notes(watched: Watched) -> Iterator[str]:
    """What the judgement could not know, and what follows from that."""
    if watched.history.lives and not any(key.process is not None for key in watched.history.pools):
        yield (
            "the clients' processes are not known (they are not on this host, or not to be seen from here): "
            "several processes of one address count as one"
        )


def _slots(watched: Watched, skipped: list[Skipped]) -> list[Finding]:
    """The rule of `check` on slots, on the slots as they are now."""
    from dbdoctor.rules import slots as rule

    if watched.facts is None:
        return []
    facts = dataclasses.replace(watched.facts, slots=watched.history.slots or watched.facts.slots)
    said = list(rule.judge(facts, watched.target))
    skipped += [one for one in said if isinstance(one, Skipped)]
    return [one for one in said if isinstance(one, Finding)]


def _group_report(group: Group, judged: list[Judged], watched: Watched) -> GroupReport:
    history, now = watched.history, watched.now
    ranked = sorted((one for one in judged if one.verdict), key=lambda one: -(one.verdict or Verdict.OK).rank)
    verdict = ranked[0].verdict if ranked else None
    unsure = sum(1 for life in group.idle if life.session.unsure)
    if verdict is None:
        verdict = Verdict.UNKNOWN if group.hidden or unsure else Verdict.OK
    says = what_recorder_says(group, judged, watched)
    doubted = verdict
    verdict = settled(verdict, judged, says)
    spared = {life.spared for life in group.lives}
    series = history.series.get(group.key)
    ages = [age for life in group.in_transaction if (age := life.transaction_age(now)) is not None]
    rested = [life.session.changed_at for life in group.idle if life.session.changed_at is not None]
    processes = {life.process for life in group.lives if life.process is not None}
    unseen = (
        f"{len(group.hidden)} hidden from this role" if group.hidden else "",
        f"{unsure} with an open transaction, in which nothing can be seen here" if unsure else "",
        partly_known(says) if says is not None and says.known < says.sessions and verdict is not Verdict.OK else "",
    )
    return GroupReport(
        key=group.key,
        sessions=len(group.lives),
        active=group.active,
        idle=len(group.idle),
        idle_in_transaction=len(group.in_transaction),
        hidden=len(group.hidden),
        verdict=verdict,
        reasons=tuple(dict.fromkeys(reason for reason in (*(one.reason for one in ranked), *unseen) if reason)),
        trend=group.trend,
        counts=series.last(_COUNTS_SHOWN) if series is not None else (),
        opened=group.opened,
        closed=group.closed,
        returned=sum(pool.long_pauses for pool in group.pools) + sum(life.long_pauses for life in group.lives),
        longest_idle=max(0.0, now - min(rested)) if rested else None,
        oldest_transaction=max(ages, default=None),
        process=processes.pop() if len(processes) == 1 else None,
        spared=spared.pop() if len(spared) == 1 and verdict is Verdict.OK else None,
        held=_held(ranked),
        recorder=says,
        settled=why_settled(says) if says is not None and doubted is not verdict else None,
    )


def _held(ranked: list[Judged]) -> tuple[HeldAt, ...]:
    """The lines of code behind all that is not well in a group, each once."""
    found: dict[tuple[object, ...], HeldAt] = {}
    for one in ranked:
        for place in one.held:
            key = (place.taken_at, place.rests, place.beside, place.longest is None)
            known = found.setdefault(key, place)
            found[key] = known._replace(
                sessions=tuple(dict.fromkeys((*known.sessions, *place.sessions))),
                processes=tuple(sorted({*known.processes, *place.processes})),
                longest=max(known.longest, place.longest) if known.longest and place.longest else known.longest,
            )
    return tuple(found.values())


def _session_reports(watched: Watched, judged: list[Judged]) -> list[SessionReport]:
    verdicts: dict[Identity, tuple[Verdict, str]] = {}
    for one in judged:
        verdict = one.verdict
        if verdict is None:
            continue
        for identity in one.sessions:
            before = verdicts.get(identity)
            if before is None or verdict.rank > before[0].rank:
                verdicts[identity] = (verdict, one.finding.code)
    reports = [_session_report(life, verdicts, watched.now) for life in watched.history.lives.values()]
    return sorted(reports, key=lambda report: (-report.verdict.rank, -(report.state_age or 0.0)))


def _session_report(life: Life, verdicts: dict[Identity, tuple[Verdict, str]], now: float) -> SessionReport:
    session = life.session
    own = Verdict.UNKNOWN if session.hidden or session.unsure else Verdict.OK
    state = "hidden" if session.hidden else f"{session.state} for {format_duration(life.silence(now))}"
    verdict, reason = verdicts.get(session.identity, (own, life.spared or state))
    return SessionReport(
        session=session,
        verdict=verdict,
        reason=reason,
        age=now - session.started_at if session.started_at is not None else None,
        state_age=life.silence(now) if session.changed_at is not None else None,
        transaction_age=life.transaction_age(now),
        detail=life.explained,
        process=life.process,
        pooled_client=life.pooled_client,
        held=next(iter(held_at([life], now)), None),
    )
