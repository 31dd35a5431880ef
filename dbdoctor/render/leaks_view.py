"""What the screen of `leaks --watch` shows, line by line, in the room there is; what has no room is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.leaks import Event, LeaksReport, Verdict
from dbdoctor.model.server import Slots
from dbdoctor.render.cells import plain, shorten, width
from dbdoctor.render.finding import by_severity
from dbdoctor.render.leaks_events import EVENT_COLOUR, event_words
from dbdoctor.render.leaks_table import GroupTable, Span
from dbdoctor.render.leaks_words import (
    clock,
    grouped,
    more_groups,
    no_sessions,
    observed_words,
    plural,
    server_words,
    short_forecast,
    slots_words,
)
from dbdoctor.render.style import SEVERITY_COLOUR

Line = list[Span]

_HINT = "Ctrl-C ends with a summary"
_QUIET = "bright_black"
_MOST_EVENTS = 6
# With fewer lines than these there is room for groups only.
_FEW_LINES = 8
_WORD = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# The free slots are shown in yellow from this share of used ones on, and in red.
_NEAR, _NEARER = 0.8, 0.9


class Frame(NamedTuple):
    """What is known at one moment. `events` oldest first; `status` is what is wrong with the watching itself."""

    target: str
    report: LeaksReport | None
    events: Sequence[Event] = ()
    status: str | None = None
    limit: int = 50


class Room(NamedTuple):
    """Columns and lines of the terminal, and whether it takes more letters than ASCII's."""

    columns: int
    lines: int
    unicode: bool = True


def view(frame: Frame, room: Room) -> list[Line]:
    """At most `room.lines` lines of at most `room.columns` columns; the last one is the hint."""
    head = _head(frame, room)
    body = _body(frame, room._replace(lines=room.lines - len(head) - 1))
    lines = [*head, *body][: max(0, room.lines - 1)]
    lines += [[] for _ in range(room.lines - 1 - len(lines))]
    hint = _text(_HINT, room, _QUIET)
    return [*lines, hint][-room.lines :]


def _head(frame: Frame, room: Room) -> list[Line]:
    report = frame.report
    title = f"dbdoctor leaks  {plain(frame.target, unicode=room.unicode)}"
    if report is None:
        lines = [_text(title, room, bold=True)]
    else:
        until, facts = report.observed.until, report.facts
        at = clock(until)
        servers = (f"{server_words(facts, until)}  {at}", f"{facts.product} {facts.version}  {at}") if facts else ()
        lines = [_ends(title, (*servers, at), room, bold=True)]
        if report.slots is not None:
            lines.append(_slots(report.slots, room))
        if report.forecast is not None:
            lines.append(_text(f"       {short_forecast(report.forecast, report.slots)}", room, "yellow"))
        lines.append(_counts(report, room))
    if frame.status:
        lines.append(_text(f"! {frame.status}", room, "yellow", bold=True))
    return [*lines, []]


def _slots(slots: Slots, room: Room) -> Line:
    words = slots_words(slots)
    columns = max(0, min(50, room.columns - len(words) - 9))
    used = min(columns, max(round(columns * slots.share_used), 1 if slots.used else 0))
    colour = "red" if slots.share_used >= _NEARER else "yellow" if slots.share_used >= _NEAR else None
    full, empty = ("█", "░") if room.unicode else ("#", ".")
    return [Span("slots  "), Span(full * used, colour), Span(empty * (columns - used)), Span(f"  {words}")]


def _counts(report: LeaksReport, room: Room) -> Line:
    worst = report.groups[0].verdict if report.groups else Verdict.OK
    sessions = plural(sum(group.sessions for group in report.groups), "session")
    words, short = observed_words(report), observed_words(report, short=True)
    line = _ends(grouped(report), (f"{sessions}, {words}", f"{sessions}, {short}", short), room)
    return [line[0]._replace(bold=worst is not Verdict.OK), *line[1:]]


def _body(frame: Frame, room: Room) -> list[Line]:
    report = frame.report
    events = _events(frame.events, room)
    if report is None:
        return [_text("waiting for the first look", room), *_spaced(events[-_MOST_EVENTS:])]
    findings: list[Finding | Skipped] = [*reversed(by_severity(report.findings)), *report.skipped]
    shown = min(len(report.groups), max(0, frame.limit))
    groups_want = max(1, shown + 1 + (shown < len(report.groups)))
    events_want = len(events) + 1 if events else 0
    whole = _whole(findings, room, room.lines - groups_want - events_want - 1)
    for_groups, for_findings, for_events = _shares(
        room.lines, (groups_want, len(whole) + 1 if findings else 0, events_want)
    )
    return [
        *_groups(report, frame.limit, room._replace(lines=for_groups)),
        *_spaced(whole if len(whole) < for_findings else _findings(findings, room._replace(lines=for_findings - 1))),
        *_spaced(events[len(events) - for_events + 1 :] if for_events > 1 else []),
    ]


def _shares(lines: int, wants: tuple[int, int, int]) -> tuple[int, int, int]:
    """How many lines groups, findings and events get: a half, a third, a sixth; what one has no need of, the others get."""
    lines = max(0, lines)
    if lines < _FEW_LINES:
        return lines, 0, 0
    events = min(wants[2], max(0, lines // 6))
    findings = min(wants[1], lines // 3)
    groups = min(wants[0], lines - findings - events)
    left = lines - groups - findings - events
    more = min(left, wants[1] - findings)
    findings, left = findings + more, left - more
    more = min(left, wants[2] - events)
    return groups + left - more, findings, events + more


# --- groups


def _groups(report: LeaksReport, limit: int, room: Room) -> list[Line]:
    groups = report.groups
    shown = min(len(groups), max(0, limit))
    if not groups:
        return [_text(no_sessions(report), room)][: room.lines]
    fit = room.lines - 1 - (1 if shown < len(groups) else 0)
    if shown > fit:
        fit = room.lines - 2
    shown = max(0, min(shown, fit))
    history = 8 if room.columns < 100 else 16 if room.columns < 130 else 24
    table = GroupTable(groups, shown, room.columns, unicode=room.unicode, history=history)
    lines = [[Span(table.head, bold=True)]]
    spare = fit - shown
    for group, spans in table.rows():
        lines.append(spans)
        if spare > 0 and group.verdict is not Verdict.OK and group.reasons:
            lines.append(_text(f"         {group.reasons[0]}", room))
            spare -= 1
    if shown < len(groups):
        lines.append(_text(_more(report, shown, limit), room, _QUIET))
    return lines[: max(0, room.lines)]


def _more(report: LeaksReport, shown: int, limit: int) -> str:
    how = "--limit" if shown >= limit else "a taller window"
    return f"{more_groups(report.groups[shown:])} ({how} shows more)"


# --- findings


def _whole(findings: Sequence[Finding | Skipped], room: Room, lines: int) -> list[Line]:
    """All of them, with more words where that takes no more than so many lines."""
    shown = findings[: max(1, room.lines)]
    for title, todo in ((3, 3), (2, 1)):
        result = [line for finding in shown for line in _finding(finding, room, title, todo)]
        if len(result) <= lines:
            break
    return result


def _findings(findings: Sequence[Finding | Skipped], room: Room) -> list[Line]:
    """As many as fit, each in few words; the others are counted."""
    if room.lines < 1:
        return []
    lines: list[Line] = []
    for position, finding in enumerate(findings):
        block = _finding(finding, room, 1, 1)
        left = len(findings) - position - 1
        if len(lines) + len(block) + (1 if left else 0) > room.lines:
            rest = plural(len(findings) - position, "more finding" if position else "finding")
            return [*lines, _text(f"{rest} (all of them in the summary)", room, _QUIET)]
        lines += block
    return lines


def _finding(finding: Finding | Skipped, room: Room, title: int, todo: int) -> list[Line]:
    """What, in at most `title` lines, and what to do, in at most `todo`."""
    places: list[str] = []
    if isinstance(finding, Skipped):
        head, colour, text = f"skipped[{finding.rule}]:", None, finding.reason
        advice = f"  help: {finding.help}" if finding.help else ""
    else:
        head, text = f"{_WORD[finding.severity]}[{finding.code}]:", finding.title
        colour, advice = SEVERITY_COLOUR[finding.severity.value], f"  fix: {finding.fix}"
        places = [str(place["shown"]) for place in finding.evidence.get("taken_at", ())]
    first, *others = _wrapped(f"{head} {text}", room, title, "  ")
    lines = [[Span(first[: len(head)], colour, bold=True), Span(first[len(head) :])]]
    lines += [[Span(other)] for other in others]
    # Where to look comes before what to do there; on a narrow screen its end, how many and how long, may be cut.
    lines += [_text(f"  {place}", room, bold=True) for place in places[:todo]]
    return [*lines, *([Span(line)] for line in _wrapped(advice, room, todo, " " * 7))] if advice else lines


def _wrapped(text: str, room: Room, most: int, indent: str) -> list[str]:
    """A paragraph in at most `most` lines, the later ones indented; it says that it goes on where it does."""
    text = plain(text, unicode=room.unicode)
    line = shorten(text, room.columns, unicode=room.unicode)
    if most == 1 or line == text:
        return [line]
    end = line.rfind(" ", len(line) // 2)
    end = end if end > 0 else len(line) - 1
    return [text[:end], *_wrapped(indent + text[end:].lstrip(), room, most - 1, indent)]


# --- events


def _events(events: Sequence[Event], room: Room) -> list[Line]:
    lines = []
    for event in events[-_MOST_EVENTS:]:
        at, kind, text = event_words(event)
        colour = EVENT_COLOUR.get(event.kind)
        left = room.columns - len(at) - len(kind) - 2
        what = shorten(plain(text, unicode=room.unicode), left, unicode=room.unicode)
        lines.append([Span(f"{at} "), Span(kind, colour), Span(f" {what}")])
    return lines


# --- lines


def _spaced(lines: list[Line]) -> list[Line]:
    return [[], *lines] if lines else []


def _text(text: str, room: Room, colour: str | None = None, *, bold: bool = False) -> Line:
    text = plain(text, unicode=room.unicode)
    return [Span(shorten(text, room.columns, unicode=room.unicode), colour, bold)]


def _ends(left: str, rights: Sequence[str], room: Room, *, bold: bool = False) -> Line:
    """A text at each end of a line: at the right the first for which there is room, else the last, and the left gives way."""
    left = plain(left, unicode=room.unicode)
    choice = [plain(right, unicode=room.unicode) for right in rights]
    right = next((text for text in choice if width(left) + width(text) + 2 <= room.columns), choice[-1])
    columns = room.columns - width(right) - 2
    if columns < 16:
        return [Span(shorten(left, room.columns, unicode=room.unicode), None, bold)]
    left = shorten(left, columns, unicode=room.unicode)
    return [Span(left, None, bold), Span(" " * (columns - width(left) + 2)), Span(right)]
