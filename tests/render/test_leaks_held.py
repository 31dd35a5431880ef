"""Lines of code that the recorder knows: in the text, on the screen, in events and JSON, at 80 columns, whatever they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.holding import Frame
from dbdoctor.model.leaks import HeldAt, LeaksReport, RecorderSays, Verdict
from dbdoctor.render.finding import finding_lines
from dbdoctor.render.leaks_events import event_line
from dbdoctor.render.leaks_json import event_json, leaks_json
from dbdoctor.render.leaks_text import report_lines
from dbdoctor.render.leaks_view import Frame as ViewFrame
from dbdoctor.render.leaks_view import Room, view
from dbdoctor.render.style import Style
from dbdoctor.watch.events import events_between
from tests.render.hostile import HOSTILE, harmful
from tests.render.reports import group, report, session

STYLE = Style(colour=False, unicode=True, width=80, terminal=False)
INNER = Frame("/usr/lib/python3/site-packages/library/pool.py", 7, "borrow")
OWN = Frame("/srv/shop/orders.py", 12, "Orders.take")


def held(*frames: Frame, number: int = 3, **changes: Any) -> HeldAt:
    """Three sessions taken by one line, 92 s ago."""
    one = HeldAt(frames or (INNER, OWN), tuple((4711 + n, 1.0) for n in range(number)), (812,), 92.0)
    return one._replace(**changes)


def found(*places: HeldAt, sessions: int = 3) -> Finding:
    """As a rule gives it once the lines of code are in it."""
    rows = [f"{4711 + n}  92 s  merely open" for n in range(min(5, sessions))]
    return Finding(
        code="held-checkout",
        severity=Severity.ERROR,
        title=f"{sessions} connections were checked out up to 92 s ago and not used since: checkout-api app@shop",
        why="nobody else gets them",
        fix="give it back",
        evidence={"taken_at": [place.as_object() for place in places]},
        rows=(*(place.shown for place in places), *rows),
        sessions=tuple({"id": 4711 + n, "started_at": 1.0} for n in range(sessions)),
    )


def leaking(*places: HeldAt) -> LeaksReport:
    """One group that leaks, and a session of it."""
    says = RecorderSays(5, 5, 3, 3, 3, 60.0)
    one = group("checkout-api", Verdict.LEAK, reasons=("3 checked out and not used",), held=places, recorder=says)
    return report(groups=(one,), findings=(found(*places),), sessions=(session(held=places[0]),), forecast=None)


def test_the_line_is_the_applications_own() -> None:
    assert held().place == "shop/orders.py:12 Orders.take"
    assert held(INNER).place == "library/pool.py:7 borrow"
    assert held(Frame("C:\\shop\\web.py", 3, "view.<locals>.inner")).place == "shop/web.py:3 inner"
    assert held()._replace(taken_at=()).place.startswith("a line that the recorder could not")


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_text_says_where(columns: int) -> None:
    lines = "\n".join(report_lines(leaking(held()), STYLE._replace(width=columns))).split("\n")
    text = " ".join(" ".join(lines).split())
    assert text.count("taken at shop/orders.py:12 Orders.take: 3 sessions, held for up to 1m 32s") == 2
    assert "taken 1m 32s ago at shop/orders.py:12 Orders.take" in text
    assert all(len(line) <= columns for line in lines[:-1])


def test_what_was_given_back_and_what_is_beside_the_pools() -> None:
    assert (
        held(longest=None, rests=True).shown
        == "last taken at shop/orders.py:12 Orders.take: 3 sessions, given back since"
    )
    beside = held()._replace(taken_at=(), longest=None, beside=True, sessions=((1, 1.0),))
    assert beside.shown == "opened beside the pools that the recorder sees in process 812: 1 session"


@pytest.mark.parametrize(("lines", "columns"), [(24, 80), (40, 80), (50, 140)])
def test_the_screen_says_where(lines: int, columns: int) -> None:
    shown = [
        "".join(span.text for span in line) for line in view(ViewFrame("shop", leaking(held())), Room(columns, lines))
    ]
    assert any(line.startswith("  taken at shop/orders.py:12 Orders.take: 3 sessions") for line in shown)
    assert all(len(line) <= columns for line in shown)


def test_more_sessions_than_rows_are_counted_right() -> None:
    """The line of code is none of them."""
    lines = list(finding_lines(found(held(), sessions=13), STYLE))
    assert sum("merely open" in line for line in lines) == 4
    assert "    and 9 more (--json has all)" in lines
    lines = list(finding_lines(found(held(), sessions=4), STYLE))
    assert not any("more (--json" in line for line in lines)


def test_an_event_says_where() -> None:
    event = events_between(None, leaking(held()))[0]
    assert event_line(event, STYLE).endswith(
        "; taken at shop/orders.py:12 Orders.take: 3 sessions, held for up to 1m 32s"
    )
    assert json.loads(event_json(event))["taken_at"] == [held().shown]


def test_the_object_has_every_frame() -> None:
    made = json.loads(leaks_json(leaking(held())))
    place = made["groups"][0]["held"][0]
    assert (place["file"], place["line"], place["function"]) == ("/srv/shop/orders.py", 12, "Orders.take")
    assert place["frames"] == [list(INNER), list(OWN)]
    assert (place["sessions"], place["longest_held_seconds"], place["checked_out"]) == ([4711, 4712, 4713], 92.0, True)
    assert made["groups"][0]["recorder"]["known"] == 5
    assert made["findings"][0]["evidence"]["taken_at"][0] == place
    assert made["sessions"][0]["held"] == place


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_function_with_a_hostile_name_harms_nobody(name: str) -> None:
    made = leaking(held(Frame(f"/srv/{name[:400]}.py", 1, name[:400])))
    assert not harmful("\n".join(report_lines(made, STYLE)).replace("\n", ""))
    for columns in (30, 80):
        shown = view(ViewFrame("shop", made, events_between(None, made)), Room(columns, 40))
        assert not harmful("".join(span.text for line in shown for span in line))
    assert not harmful(leaks_json(made, indent=None))
    assert not harmful(json.dumps(json.loads(leaks_json(made)), ensure_ascii=False))
