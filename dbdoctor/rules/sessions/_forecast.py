"""When the slots run out at the present rate, with its range."""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Forecast, GroupReport, Verdict
from dbdoctor.model.server import Slots
from dbdoctor.rules.sessions._watched import Watched

# Sooner than this it is an error, later a warning (seconds); beyond a week nobody can know.
_SOON = 3600.0
_FAR = 7 * 86400.0


def forecast(slots: Slots | None, groups: Sequence[GroupReport]) -> Forecast | None:
    """From the groups that grow for sure and are not known to be healthy; None when none does or slots are not known."""
    growing = [group for group in groups if group.verdict is not Verdict.OK and group.trend and group.trend.low > 0]
    if slots is None or not growing:
        return None
    trends = [group.trend for group in growing if group.trend is not None]
    rate = sum(trend.per_minute for trend in trends) / 60
    high = sum(trend.high for trend in trends) / 60
    low = sum(trend.low for trend in trends) / 60
    seconds = slots.free / rate
    if seconds > _FAR:
        return None
    return Forecast(seconds, slots.free / high, slots.free / low, tuple(group.shown for group in growing))


def forecast_finding(ahead: Forecast | None, slots: Slots | None, watched: Watched) -> list[Finding]:
    """The forecast as a finding (code `slots-run-out`; its page is `slots_run_out.py`)."""
    if ahead is None or slots is None:
        return []
    latest = format_duration(ahead.latest) if ahead.latest is not None else "never"
    between = f"between {format_duration(ahead.earliest)} and {latest}"
    finding = Finding(
        code="slots-run-out",
        severity=Severity.ERROR if ahead.seconds <= _SOON else Severity.WARNING,
        title=f"at this rate the server's slots run out in {format_duration(ahead.seconds)} ({between})",
        why=f"{slots.free} of {slots.limit - slots.reserved} are left; then every new session of every application is refused",
        fix="stop what grows, or restart its processes one by one to gain time; the findings on its group say which and why",
        evidence={
            "exhausted_in_seconds": round(ahead.seconds, 1),
            "earliest_seconds": round(ahead.earliest, 1),
            "latest_seconds": round(ahead.latest, 1) if ahead.latest is not None else None,
            "free": slots.free,
            "watched_seconds": round(watched.seconds, 3),
        },
        rows=ahead.by[:5],
    )
    return [finding]
