"""The wait for a connection against the size of the pool, with the recommended size and the target marked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dbdoctor.model.advice import Advice, SweepRow
from dbdoctor.model.demand import Source
from dbdoctor.render.recommend_words import time_words
from dbdoctor.render.report.figure import Canvas, Table, figure, legend, line, path, text, x_axis, y_axis
from dbdoctor.render.report.html import Child, Markup, el, join
from dbdoctor.render.report.pieces import command, number
from dbdoctor.render.report.scale import Scale, decades, ticks

# What is shorter is drawn as this (seconds): a logarithm has no nothing.
_LEAST = 1e-4
_WIDE, _NARROW = Canvas(760, 300, left=64), Canvas(340, 280, left=58, right=14)


def curve(advice: Advice) -> Markup | None:
    """The plot; where nothing is known of the demand, what would tell."""
    rows = [row for row in advice.sweep if row.wait_p99 is not None]
    if len(rows) < 2:
        if advice.recommendation.connections is None:
            return None
        words = "The wait against the size of the pool is not shown: it takes a recorded trace, or stated figures."
        return join(el("p", words), command("dbdoctor report --trace FILE", "the command with a trace"))
    chosen = next((row for row in rows if row.chosen), None)

    def draw(canvas: Canvas) -> Markup:
        return _draw(canvas, rows, advice)

    which = "by Erlang C, in the busiest second" if advice.recommendation.demand.source is Source.STATED else "replayed"
    title = f"The wait for a connection against the size of the pool ({which})"
    ends = [time_words(_p99(row)) for row in (rows[0], rows[-1])]
    says = f"With {rows[0].size} connections 99% wait up to {ends[0]}, with {rows[-1].size} up to {ends[1]}."
    if chosen is not None:
        says += f" {chosen.size} are recommended: {time_words(_p99(chosen))}."
    return figure("curve-plot", title, says, draw, _table(rows), key_to=_legend(), canvases=(_WIDE, _NARROW))


def _legend() -> Markup:
    return legend((("A", "99% of the checkouts wait at most so long"), ("B", "the mean wait")))


def _is_endless(rows: Sequence[SweepRow]) -> bool:
    """Whether a pool of some size can never keep up."""
    return any(not math.isfinite(_p99(row)) for row in rows)


def _p99(row: SweepRow) -> float:
    return row.wait_p99 if row.wait_p99 is not None else math.inf


def _table(rows: Sequence[SweepRow]) -> Table:
    cells: list[list[Child]] = [
        [
            f"{row.size} (recommended)" if row.chosen else str(row.size),
            number(time_words(_p99(row))),
            number(time_words(row.wait_mean) if row.wait_mean is not None else "-"),
            number("-" if row.waiting is None else f"{row.waiting:.1%}"),
            number("-" if row.timeouts is None else f"{row.timeouts:,}"),
            number(f"{row.connections:,}"),
        ]
        for row in rows
    ]
    head = ("connections in a process", "99% wait at most", "mean wait", "wait at all", "give up", "on the server")
    return Table("waits by the size of the pool", head, cells)


def _draw(canvas: Canvas, rows: Sequence[SweepRow], advice: Advice) -> Markup:
    target = advice.recommendation.target.wait
    waits = [one for row in rows for one in (row.wait_p99, row.wait_mean) if one is not None and math.isfinite(one)]
    high = max([*waits, target * 2, _LEAST * 10])
    marks = decades(_LEAST, high)
    endless = _is_endless(rows)
    words = [(mark, _mark(mark)) for mark in marks] + ([(marks[-1] * 10, "no end")] if endless else [])
    y = Scale(marks[0], words[-1][0], canvas.y_end, canvas.top + 6, log=True)
    first, last = rows[0].size, rows[-1].size
    x = Scale(first, last, canvas.left + 8, canvas.x_end - 8)
    steps = [tick + first for tick in ticks(last - first, 5 if canvas.is_narrow else 10) if tick + first <= last]
    chosen = next((row for row in rows if row.chosen), None)
    return join(
        y_axis(canvas, y, words, "wait (each line is ten times the one below)"),
        x_axis(canvas, x, [(step, f"{step:g}") for step in steps], "connections in a process"),
        line(canvas.left, y.at(target), canvas.x_end, y.at(target), "goal"),
        text(canvas.x_end, y.at(target) - 5, f"target {time_words(target)}", anchor="end", kind="letter ok"),
        _marked(chosen, canvas, x) if chosen is not None else None,
        _course([(row.size, row.wait_mean) for row in rows], x, y, 2),
        _course([(row.size, row.wait_p99) for row in rows], x, y, 1),
    )


def _marked(chosen: SweepRow, canvas: Canvas, x: Scale) -> Markup:
    place = x.at(chosen.size)
    near = place > (canvas.left + canvas.x_end) / 2
    words = f"recommended: {chosen.size}"
    return join(
        line(place, canvas.top, place, canvas.y_end, "mark"),
        text(
            place - 6 if near else place + 6,
            canvas.top + 16,
            words,
            anchor="end" if near else "start",
            kind="letter ok",
        ),
    )


def _course(points: Sequence[tuple[int, float | None]], x: Scale, y: Scale, colour: int) -> Markup:
    """The line with a dot for each size that was tried; what has no end has a line of its own."""
    placed = [(x.at(size), y.at(wait)) for size, wait in points if wait is not None]
    dots = [el("circle", cx=one, cy=two, r=3.5, class_=f"dot f{colour}") for one, two in placed]
    return join(path(placed, f"series s{colour}"), dots)


def _mark(seconds: float) -> str:
    if seconds <= _LEAST:
        return "≤0.1 ms"
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
