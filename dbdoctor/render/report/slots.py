"""How many sessions the server still admits, who has the others, and when they run out at the present rate."""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.model.leaks import Forecast
from dbdoctor.model.report import Moment, WholeReport
from dbdoctor.model.server import ConnectionLimit, Slots
from dbdoctor.render.leaks_words import about, clock, forecast_words, slots_words
from dbdoctor.render.report.course import gaps, lines_of
from dbdoctor.render.report.figure import Canvas, Table, figure, line, path, table_of, text, x_axis, y_axis
from dbdoctor.render.report.html import Child, Markup, el, escape, join, name
from dbdoctor.render.report.pieces import absent, number, section
from dbdoctor.render.report.scale import Scale, ticks, time_ticks

_MOST_LOGINS = 20
_MOST_ROWS = 24
_BEYOND = 1.15  # how much further than the slots' end the plot goes


def slots(report: WholeReport) -> Markup:
    """The section."""
    leaks, examination = report.leaks, report.examination
    checked = examination.facts if examination is not None else None
    found = (leaks.slots if leaks is not None else None) or (checked.slots if checked is not None else None)
    if found is None:
        why = report.absent.get("leaks", ("the server does not tell how many sessions it admits", None))
        return section("slots", "Slots and forecast", absent(why))
    forecast = leaks.forecast if leaks is not None else None
    facts = (leaks.facts if leaks is not None else None) or checked
    return section(
        "slots",
        "Slots and forecast",
        el("p", f"{slots_words(found)} ({found.limit} in all, {found.reserved} reserved)."),
        el("p", _outlook(report, found, forecast)),
        _plot(found, forecast, report.timeline),
        _used_by(found),
        _limits(facts.limits if facts is not None else ()),
    )


def _outlook(report: WholeReport, found: Slots, forecast: Forecast | None) -> Markup:
    if forecast is not None:
        words = forecast_words(forecast, found)
        return escape(f"{words[:1].upper()}{words[1:]}.")
    if report.leaks is None or report.leaks.observed.samples < 2:
        return Markup("No forecast: one look tells no growth.")
    return Markup("No forecast: nothing grew for certain while it was watched.")


def _used_by(found: Slots) -> Markup | None:
    if not found.used_by:
        return None
    rows: list[list[Child]] = [
        [name(user), name(application or "(no name)"), number(str(count))]
        for user, application, count in found.used_by[:_MOST_LOGINS]
    ]
    more = len(found.used_by) - _MOST_LOGINS
    return join(
        el("h3", "Who has the slots"),
        table_of(
            Table("sessions by login and application, the most first", ("login", "application", "sessions"), rows)
        ),
        el("p", f"and {more} more") if more > 0 else None,
    )


def _limits(limits: Sequence[ConnectionLimit]) -> Markup | None:
    if not limits:
        return None
    rows: list[list[Child]] = [
        [join(f"{one.of} ", name(one.name)), number("?" if one.used is None else str(one.used)), number(str(one.limit))]
        for one in limits
    ]
    return table_of(Table("limits of their own", ("of", "used", "limit"), rows))


def _plot(found: Slots, forecast: Forecast | None, moments: Sequence[Moment | None]) -> Markup | None:
    counted = [moment for moment in moments if moment is not None and moment.slots is not None]
    if len(counted) < 2:
        return None
    began, watched = counted[0].since, counted[-1].until - counted[0].since
    usable = found.limit - found.reserved

    def draw(canvas: Canvas) -> Markup:
        return _draw(canvas, found, forecast, moments, (began, watched))

    ends = [moment.slots.most for moment in counted if moment.slots is not None]
    says = f"In {about(watched)} the used slots went from {ends[0]} to {ends[-1]}, {max(ends)} at most, of {usable} usable."
    if forecast is not None:
        says += f" The forecast: {forecast_words(forecast, found)}."
    step = max(1, -(-len(counted) // _MOST_ROWS))
    rows: list[list[Child]] = [
        [clock(one.until), number(str(one.slots.most)), number(str(max(0, usable - one.slots.most)))]
        for one in counted[::step]
        if one.slots is not None
    ]
    table = Table("used slots over time", ("at (UTC)", "used", "free"), rows)
    return figure("slots-plot", f"Used slots from {clock(began, date=True)} on", says, draw, table)


def _draw(
    canvas: Canvas, found: Slots, forecast: Forecast | None, moments: Sequence[Moment | None], time: tuple[float, float]
) -> Markup:
    began, watched = time
    usable = found.limit - found.reserved
    whole = watched if forecast is None else watched + _BEYOND * (forecast.latest or forecast.seconds * 2)
    counts = ticks(max(usable * 1.05, found.used))
    x = Scale(0.0, whole or 1.0, canvas.left, canvas.x_end)
    y = Scale(0.0, counts[-1], canvas.y_end, canvas.top)
    marks = [(tick, about(tick)) for tick in time_ticks(whole, 4 if canvas.is_narrow else 8)]
    spans = [moment.slots if moment is not None else None for moment in moments]
    return join(
        gaps(canvas, x, moments, began),
        y_axis(canvas, y, [(tick, f"{tick:g}") for tick in counts], "sessions"),
        x_axis(canvas, x, marks, "since the first look"),
        line(canvas.left, y.at(usable), canvas.x_end, y.at(usable), "limit"),
        text(canvas.left + 6, y.at(usable) - 5, f"{usable} usable", kind="letter error"),
        _cone(found, forecast, watched, x, y) if forecast is not None else None,
        lines_of(spans, moments, began, x, y, 2 if forecast is None else 5),
    )


def _cone(found: Slots, forecast: Forecast, watched: float, x: Scale, y: Scale) -> Markup:
    """From now to the slots' end: at the present rate, and the range in which that lies."""
    usable = found.limit - found.reserved
    now = (x.at(watched), y.at(found.used))
    early, due = (x.at(watched + forecast.earliest), y.at(usable)), (x.at(watched + forecast.seconds), y.at(usable))
    late = (x.at(watched + forecast.latest), y.at(usable)) if forecast.latest is not None else (x.end, y.at(found.used))
    words = f"full in {about(forecast.seconds)}"
    near = due[0] > (x.start + x.end) / 2
    return join(
        path([now, early, due, late], "cone", closed=True),
        path([now, due], "forecast"),
        line(*due, due[0], y.start, "mark"),
        text(
            due[0] - 6 if near else due[0] + 6,
            y.start - 8,
            words,
            anchor="end" if near else "start",
            kind="letter warning",
        ),
    )
