"""What `leaks` says in words, the same on the screen and in the text: ages, growth, forecast, verdicts, the last line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Severity
from dbdoctor.model.leaks import Forecast, GroupReport, LeaksReport, Trend, Verdict
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.snapshot import Gap
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.style import Style

WORD = {Verdict.LEAK: "LEAK", Verdict.SUSPECT: "suspect", Verdict.UNKNOWN: "unknown", Verdict.OK: "ok"}
VERDICT_COLOUR = {Verdict.LEAK: "red", Verdict.SUSPECT: "yellow", Verdict.UNKNOWN: "magenta", Verdict.OK: "green"}
ONE_LOOK = "tells no growth, nor whether a session comes back; `--for 10s` does"
_MOST_NAMES = 3


def age(seconds: float | None) -> str:
    """For a column: `92s`, `15m`, `5h`, `12d`; empty when there is none."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    for unit, size, most in (("s", 1, 99.5), ("m", 60, 99.5), ("h", 3600, 47.5)):
        if seconds / size < most:
            return f"{max(0, round(seconds / size))}{unit}"
    return f"{round(seconds / 86400)}d"


def about(seconds: float, like: float | None = None) -> str:
    """For a sentence, no more exact than a forecast is: `24 s`, `47 min`, `3.5 h`, `12 days`; in the unit of `like`."""
    if not math.isfinite(seconds):
        return "unknown"
    measure = seconds if like is None else like
    for unit, size, most in (("s", 1, 99.5), ("min", 60, 99.5), ("h", 3600, 47.5)):
        if measure / size < most:
            return f"{_figure(max(0.0, seconds / size))} {unit}"
    return f"{_figure(seconds / 86400)} days"


def clock(seconds: float, *, date: bool = False) -> str:
    """The time of day in UTC, `14:03:22Z`; with the day before it, `2026-01-15T14:03:22Z`."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ" if date else "%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "unknown time"


def signed(number: float) -> str:
    """`+2.4`, `-1`, `0`."""
    text = f"{number:+.0f}" if abs(number) >= 99.5 else f"{number:+.1f}".removesuffix(".0")
    return "0" if text in {"+0", "-0"} else text


def growth(trend: Trend | None) -> str:
    """For a column: sessions a minute; `~0` when they may as well stay as they are."""
    if trend is None:
        return ""
    return "~0" if trend.low <= 0 <= trend.high else signed(trend.per_minute)


def growth_range(trend: Trend | None) -> str:
    """`1.9 to 2.9`, `-0.2 to +0.3`: where the growth lies; empty when it is not known."""
    if trend is None:
        return ""
    low, high = signed(trend.low), signed(trend.high)
    if low == high:
        return low
    return f"{low.lstrip('+')} to {high.lstrip('+') if trend.low >= 0 else high}"


def server_words(facts: ServerFacts, at: float | None = None) -> str:
    """`PostgreSQL 18.4, primary, up 9d 4h`, the last as of `at` (server's clock), since facts are read at the login."""
    role = {True: ", standby", False: ", primary", None: ""}[facts.is_standby]
    passed = at - facts.server_time if at is not None and facts.server_time is not None else 0.0
    uptime = f", up {format_duration(facts.uptime + max(0.0, passed))}" if facts.uptime is not None else ""
    pooler = f", {facts.pooler.name} in between" if facts.pooler else ""
    return f"{facts.product} {facts.version}{role}{uptime}{pooler}"


def slots_words(slots: Slots) -> str:
    """`62 of 97 in use, 35 free`."""
    return f"{slots.used} of {slots.limit - slots.reserved} in use, {slots.free} free"


def forecast_words(forecast: Forecast, slots: Slots | None) -> str:
    """`at +2.4 sessions a minute the slots run out in 47 min (38 min to 61 min), by checkout-api`."""
    if slots is not None and slots.free == 0:
        return f"no slot is left{_by(forecast)}"
    rate = _rate(forecast, slots)
    at = f"at {rate} sessions a minute " if rate else ""
    return f"{at}the slots run out in {_span(forecast)}{_by(forecast)}"


def short_forecast(forecast: Forecast, slots: Slots | None) -> str:
    """The same with what matters most first: `full in 47 min (38 min to 61 min) at +2.4 a minute, by checkout-api`."""
    if slots is not None and slots.free == 0:
        return f"no slot is left{_by(forecast)}"
    rate = _rate(forecast, slots)
    return f"full in {_span(forecast)}{f' at {rate} a minute' if rate else ''}{_by(forecast)}"


def observed_words(report: LeaksReport, *, short: bool = False) -> str:
    """`12 samples in 24 s, one every 2 s`; the first half only when `short`."""
    observed = report.observed
    if observed.samples < 2:
        return f"one look at {clock(observed.until)}" if observed.samples else "nothing: no look succeeded"
    words = f"{observed.samples} samples in {about(observed.seconds)}"
    return words if short else f"{words}, one every {about(observed.interval)}"


def gap_words(gap: Gap) -> str:
    """`14:03:10Z to 14:03:22Z (12 s): the connection was lost`."""
    return f"{clock(gap.since)} to {clock(gap.until)} ({about(gap.until - gap.since)}): {clean(gap.reason)}"


def counted(groups: Sequence[GroupReport]) -> str:
    """`2 leaks, 1 suspect, 3 ok`, worst first; what there is none of is not said."""
    number = Counter(group.verdict for group in groups)
    words = []
    for verdict in (Verdict.LEAK, Verdict.SUSPECT, Verdict.UNKNOWN, Verdict.OK):
        plural = "s" if number[verdict] != 1 and verdict in {Verdict.LEAK, Verdict.SUSPECT} else ""
        if number[verdict]:
            words.append(f"{number[verdict]} {verdict.value}{plural}")
    return ", ".join(words)


def more_groups(groups: Sequence[GroupReport]) -> str:
    """`12 more groups, all ok`, of those that are not shown."""
    kinds = counted(groups)
    what = ", all ok" if all(group.verdict is Verdict.OK for group in groups) else f": {kinds}"
    return f"{plural(len(groups), 'more group')}{what}"


def summary_line(report: LeaksReport, style: Style) -> str:
    """The last line, which stands alone; wrapped on a terminal only, so that `tail -1` and grep find it whole elsewhere."""
    first, colour, rest = summary_parts(report)
    line = fill(first + rest, style.width, "  ", "") if style.terminal else first + rest
    return line.replace(first, style.paint(first, colour, bold=True), 1)


def summary_parts(report: LeaksReport) -> tuple[str, str, str]:
    """(first words, their colour, the rest). What could not be seen is never healthy."""
    where = f"on {clean(report.target, 120)} {_when(report)}"
    findings = _findings(report)
    worst = max((group.verdict for group in report.groups), key=lambda verdict: verdict.rank, default=Verdict.OK)
    sessions = _sessions(sum(group.sessions for group in report.groups))
    if not report.observed.samples:
        return "unknown:", VERDICT_COLOUR[Verdict.UNKNOWN], f" nothing was seen {where}"
    if not report.groups and report.facts is not None and report.facts.restricted:
        return "unknown:", VERDICT_COLOUR[Verdict.UNKNOWN], f" other sessions are not shown to us {where}"
    if worst is not Verdict.OK:
        first, comma, rest = grouped(report).partition(",")
        return first, VERDICT_COLOUR[worst], f"{comma}{rest}{f' ({findings})' if findings else ''}, {sessions} {where}"
    groups = f"{plural(len(report.groups), 'group')} ok, {sessions}" if report.groups else sessions
    if findings:
        return findings, _finding_colour(report), f", {groups} {where}"
    if report.skipped or any(group.hidden for group in report.groups):
        return "no leak seen", VERDICT_COLOUR[Verdict.UNKNOWN], f", but not all could be looked at: {groups} {where}"
    if report.observed.samples == 1:
        return "no leak seen", VERDICT_COLOUR[Verdict.OK], f" in one look: {groups} {where}"
    if report.earlier:
        before = plural(len(report.earlier), "finding")
        return "healthy at the end", VERDICT_COLOUR[Verdict.OK], f", after {before} now gone: {groups} {where}"
    return "healthy:", VERDICT_COLOUR[Verdict.OK], f" {groups} {where}"


def _when(report: LeaksReport) -> str:
    observed = report.observed
    return f"in {about(observed.seconds)}" if observed.samples > 1 else f"at {clock(observed.until)}"


def grouped(report: LeaksReport) -> str:
    """`2 leaks, 1 suspect, 3 groups ok`."""
    words = counted(report.groups).split(", ")
    number = words[-1].split(" ")[0]
    if words[-1].endswith(" ok"):
        words[-1] = f"{number} group{'s' if number != '1' else ''} ok"
    return ", ".join(words)


def _findings(report: LeaksReport) -> str:
    """`2 errors, 1 warning`, or nothing."""
    words = []
    for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning")):
        number = sum(finding.severity is severity for finding in report.findings)
        if number:
            words.append(plural(number, word))
    return ", ".join(words)


def _finding_colour(report: LeaksReport) -> str:
    return "red" if any(finding.severity is Severity.ERROR for finding in report.findings) else "yellow"


def no_sessions(report: LeaksReport) -> str:
    """A sentence that stands in place of the groups."""
    if report.facts is not None and report.facts.restricted:
        return "Other sessions are not shown to us: how many there are, and whether they are well, is not known."
    return "There are no other sessions on this server."


def _sessions(number: int) -> str:
    return plural(number, "session") if number else "no other sessions"


def plural(number: int, word: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {word}{'s' if number != 1 else ''}"


def _rate(forecast: Forecast, slots: Slots | None) -> str:
    return signed(slots.free * 60 / forecast.seconds) if slots and forecast.seconds > 0 else ""


def _span(forecast: Forecast) -> str:
    """`47 min (38 min to 61 min)`, all in one unit."""
    if forecast.latest is None:
        return f"{about(forecast.seconds)} ({about(forecast.earliest)} at the earliest)"
    earliest, latest = (about(seconds, forecast.seconds) for seconds in (forecast.earliest, forecast.latest))
    span = f" ({earliest} to {latest})" if earliest != latest else ""
    return f"{about(forecast.seconds)}{span}"


def _by(forecast: Forecast) -> str:
    names = [clean(name, 60) for name in forecast.by[:_MOST_NAMES]]
    more = len(forecast.by) - len(names)
    return f", by {', '.join(names)}{f' and {more} more' if more > 0 else ''}" if names else ""


def _figure(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 9.95 else f"{number:.0f}"
