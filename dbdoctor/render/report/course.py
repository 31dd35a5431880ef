"""How many sessions each group had over time: the plot, its legend, and the figures behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from dbdoctor.model.leaks import GroupKey, LeaksReport
from dbdoctor.model.report import Moment, Span
from dbdoctor.render.leaks_words import about, clock, plural
from dbdoctor.render.report.figure import Canvas, Table, figure, legend, path, rect, text, x_axis, y_axis
from dbdoctor.render.report.html import Child, Markup, el, join, name
from dbdoctor.render.report.pieces import number
from dbdoctor.render.report.scale import Scale, spread, ticks, time_ticks

_MOST_LINES = 7
_MOST_ROWS = 24
_LETTERS = "ABCDEFGH"
_NOTHING = Span(0, 0)


class Course(NamedTuple):
    """One line of the plot: its letter, whose sessions, and for each moment how many (None: nobody looked)."""

    letter: str
    title: str
    spans: tuple[Span | None, ...]


def over_time(leaks: LeaksReport, moments: Sequence[Moment | None]) -> Markup | None:
    """How many sessions each group had; the worst and the largest groups have a line of their own."""
    looked = [moment for moment in moments if moment is not None]
    if len(looked) < 2:
        return (
            el("p", "One look tells no course over time: watch for longer, with `--for 1m`.") if leaks.groups else None
        )
    courses = _courses(leaks, moments)
    if not courses:
        return None
    began, seconds = looked[0].since, looked[-1].until - looked[0].since
    named = legend((course.letter, name(course.title, 200)) for course in courses)

    def draw(canvas: Canvas) -> Markup:
        return _draw(canvas, courses, moments, began, seconds)

    title = f"Sessions of each group, from {clock(began, date=True)} on"
    return figure("sessions-plot", title, _says(courses, seconds), draw, _table(courses, moments), key_to=named)


def _courses(leaks: LeaksReport, moments: Sequence[Moment | None]) -> list[Course]:
    rank = {group.key: group.verdict.rank for group in leaks.groups}
    later = _found_later(rank)
    moments = [_by_process(moment, later) if moment else None for moment in moments]
    most: dict[GroupKey, int] = {}
    for moment in moments:
        for key, span in moment.groups.items() if moment else ():
            most[key] = max(most.get(key, 0), span.most)
    order = sorted(most, key=lambda key: (-rank.get(key, 0), -most[key], key.shown))
    own = order[:_MOST_LINES] if len(order) > _MOST_LINES + 1 else order
    found = [
        Course(letter, key.shown, tuple(moment.groups.get(key, _NOTHING) if moment else None for moment in moments))
        for letter, key in zip(_LETTERS, own, strict=False)
    ]
    if len(order) > len(own):
        rest = order[len(own) :]
        spans = tuple(
            _sum([moment.groups.get(key, _NOTHING) for key in rest]) if moment else None for moment in moments
        )
        found.append(Course(_LETTERS[_MOST_LINES], f"{plural(len(rest), 'other group')} together", spans))
    return found


def _found_later(known: Collection[GroupKey]) -> dict[GroupKey, GroupKey]:
    """Of a group whose process is not known, the one group that it can be: the same with a process, where that is one alone."""
    found: dict[GroupKey, list[GroupKey]] = {}
    for key in known:
        if key.process is not None:
            found.setdefault(key._replace(process=None), []).append(key)
    return {late: keys[0] for late, keys in found.items() if len(keys) == 1 and late not in known}


def _by_process(moment: Moment, later: Mapping[GroupKey, GroupKey]) -> Moment:
    """Sessions whose process was found only a moment later, counted with their own."""
    groups: dict[GroupKey, Span] = {}
    for key, span in moment.groups.items():
        own = later.get(key, key)
        groups[own] = _sum([groups.get(own, _NOTHING), span])
    return moment._replace(groups=groups)


def _sum(spans: Sequence[Span]) -> Span:
    return Span(sum(span.least for span in spans), sum(span.most for span in spans))


def _says(courses: Sequence[Course], seconds: float) -> str:
    parts = []
    for course in courses:
        seen = [span for span in course.spans if span is not None]
        parts.append(
            f"{course.letter}, {course.title}: from {seen[0].most} to {seen[-1].most}, {max(one.most for one in seen)} at most"
        )
    return f"In {about(seconds)}: {'; '.join(parts)}."


def _draw(
    canvas: Canvas, courses: Sequence[Course], moments: Sequence[Moment | None], began: float, seconds: float
) -> Markup:
    counts = ticks(max(span.most for course in courses for span in course.spans if span is not None))
    x = Scale(0.0, seconds or 1.0, canvas.left, canvas.x_end)
    y = Scale(0.0, counts[-1], canvas.y_end, canvas.top)
    marks = [(tick, about(tick)) for tick in time_ticks(seconds, 4 if canvas.is_narrow else 8)]
    drawn: list[Child] = [
        gaps(canvas, x, moments, began),
        y_axis(canvas, y, [(tick, f"{tick:g}") for tick in counts], "sessions"),
        x_axis(canvas, x, marks, "since the first look"),
    ]
    for position, course in enumerate(courses):
        drawn.append(lines_of(course.spans, moments, began, x, y, position + 1))
    ends = [next(span.most for span in reversed(course.spans) if span is not None) for course in courses]
    places = spread([y.at(end) for end in ends], 13, canvas.top + 4, canvas.y_end - 2)
    drawn += [
        text(canvas.x_end + 5, place + 4, course.letter, kind=f"letter f{position + 1}")
        for position, (course, place) in enumerate(zip(courses, places, strict=True))
    ]
    return join(drawn)


def gaps(canvas: Canvas, x: Scale, moments: Sequence[Moment | None], began: float) -> list[Markup]:
    """The times in which nobody looked, as grey boxes."""
    drawn = []
    for position, moment in enumerate(moments):
        before = moments[position - 1] if position else None
        after = moments[position + 1] if position + 1 < len(moments) else None
        if moment is None and before is not None and after is not None:
            start, end = x.at(before.until - began), x.at(after.since - began)
            drawn.append(rect(start, canvas.top, end - start, canvas.y_end - canvas.top, "gap"))
    return drawn


def lines_of(
    spans: Sequence[Span | None], moments: Sequence[Moment | None], began: float, x: Scale, y: Scale, colour: int
) -> Markup:
    """The most of each moment as a line, broken at gaps; from the least to the most a band where they differ."""
    drawn: list[Markup] = []
    upper: list[tuple[float, float]] = []
    lower: list[tuple[float, float]] = []
    for span, moment in [*zip(spans, moments, strict=True), (None, None)]:
        if span is not None and moment is not None:
            start, end = x.at(moment.since - began), x.at(moment.until - began)
            upper += [(start, y.at(span.most)), (end, y.at(span.most))] if end > start else [(start, y.at(span.most))]
            lower += (
                [(start, y.at(span.least)), (end, y.at(span.least))] if end > start else [(start, y.at(span.least))]
            )
            continue
        if upper != lower:
            drawn.append(path([*upper, *reversed(lower)], f"band f{colour}", closed=True))
        drawn.append(path(upper, f"series s{colour}"))
        upper, lower = [], []
    return join(drawn)


def _table(courses: Sequence[Course], moments: Sequence[Moment | None]) -> Table:
    step = max(1, -(-len(moments) // _MOST_ROWS))
    chosen = sorted({*range(0, len(moments), step), len(moments) - 1})
    rows: list[list[Child]] = []
    for place in chosen:
        moment = moments[place]
        if moment is None:
            rows.append(["not looked", *("-" for _ in courses)])
            continue
        cells: list[Child] = [number(_count(course.spans[place])) for course in courses]
        rows.append([clock(moment.until), *cells])
    words = "every look" if step == 1 else f"one look in {step}"
    return Table(
        f"sessions of each group, {words}", ("at (UTC)", *(f"{one.letter} {one.title[:40]}" for one in courses)), rows
    )


def _count(span: Span | None) -> str:
    if span is None:
        return "-"
    return str(span.most) if span.least == span.most else f"{span.least} to {span.most}"
