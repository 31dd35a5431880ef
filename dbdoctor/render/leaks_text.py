"""`leaks` for people: what was looked at, who holds sessions, the worst first, what to do, and a last line that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbdoctor.model.leaks import GroupReport, LeaksReport, Verdict
from dbdoctor.model.secret import redact
from dbdoctor.render.cells import spark
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.finding import by_severity, finding_lines, skipped_lines
from dbdoctor.render.leaks_sessions import session_lines
from dbdoctor.render.leaks_table import GroupTable, Span
from dbdoctor.render.leaks_words import (
    ONE_LOOK,
    clock,
    forecast_words,
    gap_words,
    growth_range,
    more_groups,
    no_sessions,
    observed_words,
    server_words,
    signed,
    slots_words,
    summary_line,
)
from dbdoctor.render.style import Style

_INDENT = " " * 9
_MOST_REASONS = 5
_MOST_GAPS = 5
_MOST_PLACES = 3
_HISTORY = 24


def report_lines(report: LeaksReport, style: Style, *, limit: int = 50, queries: bool = False) -> Iterator[str]:
    """The whole report, at most `limit` groups and `limit` sessions of it; statements only with `queries`."""
    for name, text in head_rows(report):
        yield fill(text, style.width, " " * 13, f"  {name:<10} ")
    yield ""
    yield from group_lines(report, style, limit)
    if report.sessions:
        yield ""
        yield from session_lines(report.sessions, style, limit=limit, queries=queries)
    findings = by_severity(report.findings)
    if len(findings) > limit:
        yield ""
        yield f"{len(findings) - limit} findings less bad than these are left out (--limit {len(findings)}, or --json)"
    for finding in findings[-limit:]:
        yield ""
        yield from finding_lines(finding, style)
    for skipped in report.skipped:
        yield ""
        yield from skipped_lines(skipped, style)
    if report.notes or report.earlier:
        yield ""
    for finding, until in report.earlier:
        seen = f"earlier, until {clock(until)}: {finding.severity.value}[{finding.code}]: {clean(finding.title)}"
        yield fill(seen, style.width, "  ", "")
    for note in report.notes:
        yield fill(f"note: {clean(note, 600)}", style.width, "  ", "")
    yield ""
    yield summary_line(report, style)


def head_rows(report: LeaksReport) -> Iterator[tuple[str, str]]:
    """(name, what it is) of what was looked at."""
    yield "target", clean(report.target)
    if report.facts is not None:
        yield "server", clean(server_words(report.facts, report.observed.until))
    if report.slots is not None:
        slots = report.slots
        yield "slots", f"{slots_words(slots)} ({slots.limit} in all, {slots.reserved} reserved)"
    if report.forecast is not None:
        yield "forecast", forecast_words(report.forecast, report.slots)
    yield "watched", observed_words(report)
    gaps = report.observed.gaps
    for gap in gaps[-_MOST_GAPS:]:
        yield "not seen", gap_words(gap)
    if len(gaps) > _MOST_GAPS:
        yield "not seen", f"and {len(gaps) - _MOST_GAPS} times before (--json has all)"
    if report.observed.samples == 1:
        yield "one look", ONE_LOOK


def group_lines(report: LeaksReport, style: Style, limit: int) -> Iterator[str]:
    """A line a group, worst first; under those that are not well, why."""
    groups = report.groups
    if not groups:
        yield no_sessions(report)
        return
    shown = max(0, limit)
    table = GroupTable(groups, shown, style.width, unicode=style.unicode)
    if table.shared and shown:
        yield f"all sessions {table.shared}"
        yield ""
    if shown:
        yield style.paint(table.head, bold=True)
    for group, spans in table.rows():
        yield painted(spans, style)
        for text in _beneath(group, table, style):
            yield fill(text, style.width, _INDENT + "  ", _INDENT)
    if len(groups) > shown:
        yield f"{more_groups(groups[shown:])} (--limit {len(groups)} shows all)"


def painted(spans: Sequence[Span], style: Style) -> str:
    """A line of pieces, in colour where that is wanted."""
    return "".join(
        style.paint(span.text, span.colour, bold=span.bold) if span.colour or span.bold else span.text for span in spans
    )


def _beneath(group: GroupReport, table: GroupTable, style: Style) -> Iterator[str]:
    """Why a group is what it is, how it grew, and the process behind it."""
    if group.spared:
        yield f"not judged ({clean(group.spared)})"
    if group.settled:
        yield clean(group.settled, 500)
    if group.verdict is Verdict.OK:
        return
    for reason in group.reasons[:_MOST_REASONS]:
        yield clean(reason, 500)
    for place in group.held[:_MOST_PLACES]:
        yield clean(place.shown, 500)
    if len(group.held) > _MOST_PLACES:
        yield f"and {len(group.held) - _MOST_PLACES} more places in the code (--json has all)"
    if len(group.reasons) > _MOST_REASONS:
        yield f"and {len(group.reasons) - _MOST_REASONS} more (--json has all)"
    moves = _moves(group, with_history=not table.table.has("history"), style=style)
    if moves:
        yield moves
    if group.process and group.process.command:
        pooler = f" ({group.process.pooler})" if group.process.pooler else ""
        yield f"process {group.process.pid}{pooler}: {clean(redact(group.process.command), 160)}"


def _moves(group: GroupReport, *, with_history: bool, style: Style) -> str:
    """`.:|| +2.4 a minute (1.9 to 2.9), 10 opened, 1 closed`; empty when nothing moved, and after a single look."""
    words = []
    if group.trend is not None and not group.trend.low <= 0 <= group.trend.high:
        words.append(f"{signed(group.trend.per_minute)} a minute ({growth_range(group.trend)})")
    if group.opened or group.closed:
        words.append(f"{group.opened} opened, {group.closed} closed")
    if group.returned:
        words.append(f"{group.returned} suspects came back" if group.returned > 1 else "1 suspect came back")
    moved = with_history and len({count for count in group.counts if count is not None}) > 1
    history = [spark(group.counts, _HISTORY, unicode=style.unicode)] if moved else []
    return "  ".join([*history, *([", ".join(words)] if words else [])])
