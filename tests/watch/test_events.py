"""What is told between two reports, and what is not told twice."""

from __future__ import annotations

import pytest

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Forecast, GroupKey, GroupReport, LeaksReport, Observed, Verdict
from dbdoctor.model.server import Slots
from dbdoctor.watch.events import events_between
from tests.replacing import replace

KEY = GroupKey("api", "app", "shop")
GROUP = GroupReport(KEY, sessions=3, active=0, idle=2, idle_in_transaction=1, hidden=0, verdict=Verdict.SUSPECT)
FINDING = Finding(
    "idle-in-transaction",
    Severity.WARNING,
    "1 session has been idle in transaction for 92 s",
    "why",
    "fix",
    group={"application": "api", "user": "app", "database": "shop", "client": None, "process": None},
    sessions=({"id": 4711, "started_at": 1000.0},),
)
EMPTY = LeaksReport("t", Observed(0.0, 100.0, 50, 2.0), Slots(100, 0, 50), None, (GROUP,), (), ())


def kinds(before: LeaksReport | None, after: LeaksReport) -> list[str]:
    return [event.kind for event in events_between(before, after)]


def forecast(seconds: float) -> Forecast:
    return Forecast(seconds, seconds / 2, seconds * 2, ("api",))


def test_nothing_is_told_of_nothing() -> None:
    assert events_between(None, EMPTY) == []
    assert events_between(EMPTY, EMPTY) == []


def test_a_finding_is_told_once() -> None:
    found = replace(EMPTY, findings=(FINDING,))
    grown = replace(EMPTY, findings=(replace(FINDING, title="1 session has been idle in transaction for 94 s"),))
    (event,) = events_between(EMPTY, found)
    assert events_between(None, found) == [event]
    assert (event.kind, event.code, event.group, event.session) == ("found", FINDING.code, KEY, (4711, 1000.0))
    assert event.at == 100.0
    assert events_between(found, grown) == []
    assert kinds(found, EMPTY) == ["gone"]


def test_the_same_in_another_group_is_another() -> None:
    other = replace(FINDING, group={**(FINDING.group or {}), "application": "batch"})
    assert kinds(replace(EMPTY, findings=(FINDING,)), replace(EMPTY, findings=(FINDING, other))) == ["found"]


def test_a_finding_that_gets_worse_is_told_again() -> None:
    worse = replace(FINDING, severity=Severity.ERROR)
    (event,) = events_between(replace(EMPTY, findings=(FINDING,)), replace(EMPTY, findings=(worse,)))
    assert (event.kind, event.text) == ("found", f"now an error: {FINDING.title}")
    assert events_between(replace(EMPTY, findings=(worse,)), replace(EMPTY, findings=(FINDING,))) == []


def test_a_suspect_that_comes_back_is_said_to_have_returned() -> None:
    before = replace(EMPTY, groups=(replace(GROUP, sessions=1, oldest_transaction=92.0),))
    after = replace(EMPTY, groups=(replace(GROUP, sessions=1, returned=1),))
    (event,) = events_between(before, after)
    assert (event.kind, event.group) == ("returned", KEY)
    assert "returned after 1m 32s" in event.text
    assert events_between(after, after) == []
    several = replace(EMPTY, groups=(replace(GROUP, returned=3),))
    assert "2 suspects of api app@shop returned" in events_between(after, several)[0].text


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, 5000.0, 1),
        (5000.0, 4990.0, 0),
        (5000.0, 3000.0, 1),
        (3000.0, 5000.0, 1),
        (50.0, None, 1),
        (None, None, 0),
    ],
)
def test_a_forecast_is_told_when_it_comes_nearer(before: float | None, after: float | None, told: int) -> None:
    old, new = (replace(EMPTY, forecast=forecast(seconds) if seconds else None) for seconds in (before, after))
    assert kinds(old, new) == ["forecast"] * told


@pytest.mark.parametrize(
    ("before", "after", "told"), [(50, 60, 0), (79, 80, 1), (80, 85, 0), (95, 100, 1), (91, 89, 1), (60, 50, 0)]
)
def test_slots_are_told_when_they_cross_a_mark(before: int, after: int, told: int) -> None:
    old, new = (replace(EMPTY, slots=Slots(100, 0, used)) for used in (before, after))
    assert kinds(old, new) == ["note"] * told


def test_slots_are_not_told_twice() -> None:
    """A finding says it already."""
    full = replace(FINDING, code="slots-run-out", group=None)
    old, new = EMPTY, replace(EMPTY, slots=Slots(100, 0, 95), findings=(full,))
    assert kinds(old, new) == ["found"]
