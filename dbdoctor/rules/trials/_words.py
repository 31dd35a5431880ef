"""How the rules on trials say what was seen: one line a trial."""

from __future__ import annotations

from dbdoctor.model.duration import format_duration
from dbdoctor.model.trial import Bound, Case, FaultFacts, Outcome, PoolPlan

MOST_ROWS = 20
"""Lines of evidence in a finding; the renderer shows five and counts the others."""


def row(plan: PoolPlan, fault: FaultFacts, case: Case) -> str:
    """`pre-ping, silent-drop: hung, cut off after 30.0 s`."""
    return f"{plan.name}, {fault.code}: {seen(case)}"


def seen(case: Case) -> str:
    """What the application saw, in a few words."""
    if case.outcome is Outcome.HANGS:
        return f"hung, cut off after {format_duration(case.hang or 0.0)}"
    slowest = case.slowest or 0.0
    slow = f", the slowest took {format_duration(slowest)}" if slowest >= 1 else ""
    if case.outcome is Outcome.SURVIVES:
        return f"no error{slow}"
    words = f", {case.error.message}" if case.error else ""
    again = "" if case.recovered is not None else ", and was not served again"
    return f"{case.failed} of {case.requests} requests failed{words}{slow}{again}"


def bound(value: Bound | None) -> str:
    """`15m 25s to 17m 25s`, `2h 11m`, `for ever`."""
    if value is None:
        return "an unknown time"
    if value.most is None:
        return "for ever"
    least, most = format_duration(value.least), format_duration(value.most)
    return least if least == most else f"{least} to {most}"


def lasts(value: Bound | None) -> str:
    """The same after a verb: `for 15m 25s to 17m 25s`, `for ever`."""
    said = bound(value)
    return said if said == "for ever" else f"for {said}"


def seconds(value: Bound | None) -> dict[str, float | None]:
    """For evidence: at least, and at most (None is for ever, or unknown)."""
    return {
        "would_hang_at_least_seconds": value.least if value else None,
        "would_hang_at_most_seconds": value.most if value else None,
    }
