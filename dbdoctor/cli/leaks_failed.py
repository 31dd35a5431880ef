"""`leaks` when there was no way in: the failure is named as `check` names it, and the JSON is whole."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dbdoctor.cli.judge import judge
from dbdoctor.errors import CannotLookError, ExitCode
from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import LeaksReport, Observed
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target
from dbdoctor.probe.failures import find
from dbdoctor.watch.source import SourceLostError, SourceSlowError

if TYPE_CHECKING:
    from dbdoctor.cli.leaks_answer import Answer, Manner
    from dbdoctor.cli.leaks_lookout import Lookout

# What an examination says that was waiting for the server's answer to a login when its time was up.
_WAITED = frozenset(
    {"accepted-then-silent", "tls-handshake-stalled", "startup-stalled", "login-stalled", "driver-hung"}
)


def show_failure(target: Target, error: Exception, lookout: Lookout, manner: Manner, answer: Answer) -> ExitCode:
    """Find out why there is no way in, show it; gives the exit code. `error` is what the source said."""
    examination = judge(lookout.examine())
    if examination.connected:
        # The login works; it is our question that was not answered, or it works again by now.
        examination = replace(examination, connected=False, findings=(_of(error, target), *examination.findings))
    elif isinstance(error, SourceLostError) and error.finding is not None:
        examination = _with_refusal(examination, error.finding)
    # What the examination waited is less than what the user has waited by then.
    beside = (
        f"the login had no answer for {format_duration(lookout.waited)}; this was found beside it from then on"
        if lookout.waited is not None and not examination.connected and not lookout.closed
        else ""
    )
    if manner.other:
        from dbdoctor.cli.options import FailOn
        from dbdoctor.cli.outcomes import of_examination, print_outcomes

        print_outcomes(manner.other, [of_examination(examination, manner.fail_on or FailOn.ERROR, "leaks")])
    elif manner.wants_json:
        answer.print(_report(examination, beside))
    else:
        from dbdoctor.render.check_text import result_lines, stage_lines
        from dbdoctor.render.style import Style

        style = Style.of(sys.stdout, no_color=manner.no_color)
        print(target.shown)
        if beside:
            print(f"  {beside}:")
        for stage in examination.stages:
            for line in stage_lines(stage, style):
                print(line)
        for line in result_lines(replace(examination, facts=None), style):
            print(line)
    return ExitCode.CANNOT_LOOK


def _with_refusal(examination: Examination, refusal: Finding) -> Examination:
    """A refusal that took longer than the examination could wait is the answer, not that it waited."""
    if not any(finding.code in _WAITED for finding in examination.findings):
        return examination
    *before, last = examination.stages
    login = last._replace(name=StageName.LOGIN, detail=redact(refusal.title))
    findings = tuple(refusal if finding.code in _WAITED else finding for finding in examination.findings)
    return replace(examination, stages=(*before, login), findings=findings)


def _of(error: Exception, target: Target) -> Finding:
    where = target.endpoints[0].shown if target.endpoints else None
    values: dict[str, object] = {"where": where, "seconds": format_duration(5.0)}
    code = "query-stalled" if isinstance(error, SourceSlowError) else "query-failed"
    said = f"{error.what}: {error.cause}" if isinstance(error, CannotLookError) and error.cause else str(error)
    return find(Failure(code, StageName.QUERY, redact(said), values=values), product=target.product)


def _report(examination: Examination, note: str) -> LeaksReport:
    now = time.time()
    return LeaksReport(
        target=examination.target.shown,
        observed=Observed(now, now, 0, 0.0),
        slots=None,
        forecast=None,
        groups=(),
        findings=examination.findings,
        skipped=examination.skipped,
        facts=examination.facts,
        notes=(note,) if note else (),
    )
