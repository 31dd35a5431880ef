"""What happened while `leaks --watch` looked on, a line an event."""

from __future__ import annotations

from dbdoctor.model.leaks import Event
from dbdoctor.model.secret import redact
from dbdoctor.render.clean import clean
from dbdoctor.render.leaks_words import clock
from dbdoctor.render.style import Style

EVENT_COLOUR = {
    "found": "red",
    "lost": "red",
    "slow": "yellow",
    "forecast": "yellow",
    "gone": "green",
    "returned": "green",
    "reconnected": "green",
}
_WIDEST = max(len(kind) for kind in EVENT_COLOUR)


def event_line(event: Event, style: Style) -> str:
    """`14:03:22Z found        ...`, the time in UTC; with the day where no person watches, since that is a log."""
    at, kind, text = event_words(event, date=not style.terminal)
    return f"{at} {style.paint(kind, EVENT_COLOUR.get(event.kind), bold=True)} {text}"


def event_words(event: Event, *, date: bool = False) -> tuple[str, str, str]:
    """(when, what kind, what), the kinds equally wide; harmless to print."""
    return clock(event.at, date=date), f"{clean(event.kind, 20):<{_WIDEST}}", clean(redact(event.text), 500)
