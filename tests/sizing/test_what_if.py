"""The same demand dealt to other numbers of processes, and a size that is asked about."""

from __future__ import annotations

import random
from array import array
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dbdoctor.model.demand import Course, Stated, Trace
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.sizing import Service
from dbdoctor.sizing.case import Case, solve
from dbdoctor.sizing.merged import redealt
from dbdoctor.sizing.what_if import answer
from tests.sizing import demands


def quiet(_text: str) -> None:
    """Progress of no interest."""


def trace(gaps: list[float], uses: list[float], processes: int) -> Trace:
    courses = []
    for process in range(processes):
        now, arrivals = process * 0.001, []
        for gap in gaps:
            now += gap
            arrivals.append(now)
        courses.append(Course(f"p{process}", array("d", arrivals), array("d", [0.0] * len(gaps)), array("d", uses)))
    counted = sum(len(one.arrivals) for one in courses)
    return Trace(tuple(courses), counted, max(one.span for one in courses), processes)


_ROWS = st.lists(st.tuples(st.floats(0.001, 0.2), st.floats(0.001, 0.3)), min_size=30, max_size=120)


@settings(max_examples=25, deadline=None)
@given(_ROWS, st.integers(1, 4), st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0]))
def test_every_checkout_is_dealt_once(rows, processes, ratio):
    before = trace([gap for gap, _ in rows], [use for _, use in rows], processes)
    after = redealt(before, ratio)
    assert after.processes == max(1, round(processes * ratio))
    assert len(after.courses) <= after.processes

    def checkouts(one: Trace) -> Counter[tuple[float, float]]:
        return Counter(pair for course in one.courses for pair in zip(course.arrivals, course.uses, strict=True))

    assert checkouts(after) == checkouts(before)
    assert all(list(course.arrivals) == sorted(course.arrivals) for course in after.courses)


def test_twice_the_replicas_need_smaller_pools_each():
    draws = random.Random(5)
    demand = trace([draws.expovariate(100) for _ in range(2000)], [0.1] * 2000, 2)
    case = Case(demand, Service("shop", replicas=2))
    base = solve(case)
    more = answer(case, base, {"replicas": 4}, quiet)
    assert base.connections is not None
    assert more.settings["pool_size"] + more.settings["max_overflow"] < base.connections
    assert more.note is not None


def test_stated_rates_are_shared_by_the_processes():
    case = Case(Stated(50.0, 0.02), Service("shop", replicas=2))
    base = solve(case)
    fewer = answer(case, base, {"replicas": 1}, quiet)
    same = answer(case, base, {"replicas": 2, "rate": 100.0}, quiet)
    assert same.settings == base.settings
    assert fewer.settings["pool_size"] > base.settings["pool_size"]


def test_a_size_that_is_asked_about_is_predicted_and_counted():
    case = Case(
        trace([0.01] * 2000, [0.1] * 2000, 2),
        Service("shop", replicas=2),
        facts=ServerFacts("PostgreSQL", "18", 180_000, slots=Slots(30, 3, 0)),
    )
    found = answer(case, solve(case), {"pool_size": 20, "max_overflow": 5}, quiet)
    assert found.forced
    assert found.prediction is not None
    assert found.prediction.point.size == 25
    assert found.prediction.timeouts == 0
    assert found.budget is not None
    assert found.budget.total == 50
    assert not found.budget.feasible


def test_a_larger_server_is_room_for_what_was_wanted():
    case = Case(
        trace([0.01] * 2000, [0.1] * 2000, 2),
        Service("shop", replicas=2, surge=2),
        facts=ServerFacts("PostgreSQL", "18", 180_000, slots=Slots(30, 3, 0)),
    )
    base = solve(case)
    larger = answer(case, base, {"max_connections": 200}, quiet)
    assert base.budget is not None
    assert larger.budget is not None
    assert base.budget.short_of_wishes == ("shop",)
    assert larger.budget.short_of_wishes == ()
    assert larger.budget.feasible


def test_what_is_in_use_on_average_stays_open():
    """A hundred a second of 50 ms, like clockwork: five are always in use, so that no overflow is ever thrown away."""
    found = solve(Case(trace([0.01] * 2000, [0.05] * 2000, 1), Service("shop")))
    assert found.settings["pool_size"] >= 5


def test_callers_who_come_back_are_replayed_as_such_there_too():
    """What-if of the recommended size says what the recommendation predicts."""
    case = Case(closed_trace(), Service("shop"))
    base = solve(case)
    assert base.prediction is not None
    found = answer(case, base, {"pool_size": base.connections, "max_overflow": 0}, quiet)
    assert found.prediction is not None
    assert found.prediction.point.p99 == base.prediction.point.p99
    small = answer(case, base, {"pool_size": 2, "max_overflow": 0}, quiet)
    assert small.prediction is not None
    assert small.prediction.point.p99 < 1.0, "they come back later, and do not pile up"


def test_nothing_is_predicted_for_a_saturated_database():
    demand = demands.saturated()
    case = Case(Trace((demand,), len(demand.arrivals), demand.span, 1), Service("shop"))
    base = solve(case)
    assert base.saturated
    found = answer(case, base, {"pool_size": 50}, quiet)
    assert found.prediction is None
    assert "nothing predicts waits" in (found.note or "")


def closed_trace() -> Trace:
    course = demands.closed(20, pause=0, size=12, turns=1000)
    return Trace((course,), len(course.arrivals), course.span, 1)
