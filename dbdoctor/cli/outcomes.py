"""The answers of `check`, `leaks` and `recommend` as outcomes, and outcomes on stdout in the format of another tool."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from dbdoctor.model.outcome import Figure, Outcome

if TYPE_CHECKING:
    from dbdoctor.cli.options import FailOn
    from dbdoctor.model.advice import Advice
    from dbdoctor.model.examination import Examination
    from dbdoctor.model.finding import Severity
    from dbdoctor.model.leaks import LeaksReport

_NO_CURRENT = "the current settings are not known: name a live engine, or a profile that has them"


def print_outcomes(output: str, outcomes: Sequence[Outcome]) -> int | None:
    """The answer on stdout; gives the exit code that the format's tool wants, None where it is ours."""
    from dbdoctor.model.secret import redact
    from dbdoctor.render.formats import formats_of

    module = formats_of(outcomes[0].command)[output]
    for line in module.lines(outcomes):
        print(redact(line))
    sys.stdout.flush()
    return int(module.exit_code(outcomes)) if hasattr(module, "exit_code") else None


def of_examination(examination: Examination, fail_on: FailOn, command: str = "check") -> Outcome:
    """What `check` saw; with another command's name, that this one found no way in."""
    from dbdoctor import rules
    from dbdoctor.rules import sessions, sizing

    asked = {"leaks": sessions.modules, "recommend": sizing.modules}.get(command, rules.modules)
    target = examination.target
    return Outcome(
        command=command,
        target=target.shown if command == "leaks" else target.profile or target.shown,
        reached=examination.connected,
        seconds=examination.seconds,
        codes=_codes(asked()),
        findings=examination.findings,
        skipped=examination.skipped,
        stages=examination.stages,
        figures=_figures(examination),
        notes=examination.notes,
        fail_from=_severity(fail_on),
    )


def of_leaks(report: LeaksReport, fail_on: FailOn) -> Outcome:
    """What `leaks` saw, what was there before a long watch's end included."""
    from dbdoctor.rules import sessions

    return Outcome(
        command="leaks",
        target=report.target,
        reached=report.observed.samples > 0,
        seconds=report.observed.seconds,
        codes=_codes(sessions.modules()),
        findings=(*report.findings, *(finding for finding, _ in report.earlier)),
        skipped=report.skipped,
        notes=report.notes,
        fail_from=_severity(fail_on),
    )


def of_advice(advice: Advice, fail_on: FailOn) -> Outcome:
    """What `recommend` says of the current settings; where these are not known, no rule has passed."""
    from dbdoctor.model.finding import Skipped
    from dbdoctor.rules import sizing

    codes = _codes(sizing.modules())
    unknown = () if advice.recommendation.current else tuple(Skipped(code, _NO_CURRENT) for code in codes)
    return Outcome(
        command="recommend",
        target=advice.profile or advice.target or advice.recommendation.demand.source.value,
        reached=True,
        seconds=advice.took,
        codes=codes,
        findings=advice.findings,
        skipped=(*advice.skipped, *unknown),
        notes=(*advice.recommendation.notes, *advice.notes),
        fail_from=_severity(fail_on),
    )


def _codes(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    return tuple(code for module in modules for code in module.CODES)


def _severity(fail_on: FailOn) -> Severity | None:
    from dbdoctor.model.finding import Severity

    return None if fail_on.value == "never" else Severity(fail_on.value)


def _figures(examination: Examination) -> tuple[Figure, ...]:
    """How long each stage took, what a login and a round trip cost, and the sessions with what is too many of them."""
    figures = [Figure("time", examination.seconds, "s", least=0)]
    figures += [Figure(f"{stage.name.value}_time", stage.seconds, "s", least=0) for stage in examination.stages]
    timings = examination.timings
    if timings is not None and timings.logins and timings.round_trips:
        figures.append(Figure("login_median", timings.login_median, "s", least=0))
        figures.append(Figure("round_trip_median", timings.round_trip_median, "s", least=0))
    slots = examination.facts.slots if examination.facts else None
    if slots is not None:
        from dbdoctor.targets.settings import threshold

        usable = max(0, slots.limit - slots.reserved)
        # The rule finds from the share on; a limit of performance data is the last value that is still well.
        warning, error = (
            max(0, math.ceil(threshold(examination.target.thresholds, name) * usable) - 1)
            for name in ("slots_warning", "slots_error")
        )
        figures.append(Figure("sessions", slots.used, "", warning, error, 0, usable))
        figures.append(Figure("sessions_free", slots.free, "", least=0, most=usable))
    return tuple(figures)
