"""One line an event, the time in UTC."""

from __future__ import annotations

import pytest

from dbdoctor.model.leaks import Event
from dbdoctor.render.leaks_events import event_line
from dbdoctor.render.style import Style
from tests.render.hostile import HOSTILE, harmful
from tests.render.reports import EVENTS, NOW

PLAIN = Style(colour=False, width=80, terminal=True)


def test_a_person_gets_the_time_and_a_log_the_day_too() -> None:
    assert event_line(EVENTS[2], PLAIN) == "14:03:20Z reconnected logged in again after 4.0 s"
    assert event_line(EVENTS[0], PLAIN._replace(terminal=False)) == (
        "2026-01-15T14:03:10Z found       9 sessions of checkout-api are idle in transaction for up to 80 s"
    )


def test_colour_is_on_the_kind_alone() -> None:
    line = event_line(EVENTS[0], PLAIN._replace(colour=True))
    assert line.startswith("14:03:10Z \x1b[31m\x1b[1mfound")
    assert line.endswith("\x1b[0m 9 sessions of checkout-api are idle in transaction for up to 80 s")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_stay_on_their_line(name: str) -> None:
    line = event_line(Event(NOW, "found", HOSTILE[name]), PLAIN)
    assert harmful(line) == ""
    assert len(line) < 4000


def test_a_time_no_calendar_has() -> None:
    assert event_line(Event(1e30, "note", "x"), PLAIN).startswith("unknown time note")
