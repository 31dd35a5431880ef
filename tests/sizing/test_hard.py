"""Demand at the edges: a recommendation always comes out, it is whole, and it keeps to its bounds."""

import json
import random
import time
from array import array
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbdoctor.model.demand import Course, Samples, Stated
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Bounds, Ceiling, Recommendation, Surroundings
from dbdoctor.sizing.closed_loop import callers_of
from dbdoctor.sizing.closed_loop import replay as replay_closed
from dbdoctor.sizing.recommend import Wish, recommend
from dbdoctor.sizing.trace import read_trace
from tests.sizing import demands
from tests.sizing.test_choice import trace

ROW = st.tuples(
    st.floats(0, 1e6), st.one_of(st.just(0.0), st.floats(0, 100)), st.one_of(st.just(0.0), st.floats(0, 1000))
)
OPTIONAL = st.one_of(st.none(), st.floats(0.01, 1e5))
CURRENT = st.builds(
    PoolSettings,
    pool_size=st.one_of(st.none(), st.integers(0, 60)),
    max_overflow=st.one_of(st.none(), st.integers(-1, 60)),
    pool_timeout=OPTIONAL,
    pool_recycle=st.one_of(st.none(), st.just(-1.0), st.floats(0, 1e5)),
    pool_pre_ping=st.one_of(st.none(), st.booleans()),
    pool_use_lifo=st.one_of(st.none(), st.booleans()),
)
AROUND = st.builds(
    Surroundings,
    idle_timeout=OPTIONAL,
    deadline=OPTIONAL,
    threads=st.one_of(st.none(), st.integers(1, 100)),
    per_request=st.integers(1, 3),
    round_trip=st.one_of(st.none(), st.floats(0, 0.2)),
    connect=st.one_of(st.none(), st.floats(0, 1)),
)
BOUNDS = st.builds(
    lambda connections: Bounds((Ceiling("the server's slots", connections, "drawn"),)), st.integers(0, 200)
)


def columns(rows: Iterable[tuple[float, float, float]], process: str = "") -> Course:
    return Course(process, *(array("d", column) for column in zip(*sorted(rows), strict=True)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(ROW, min_size=1, max_size=40), min_size=1, max_size=3),
    st.one_of(st.none(), CURRENT),
    AROUND,
    BOUNDS,
    st.integers(1, 20),
)
def test_any_trace_gives_a_whole_recommendation(rows, current, around, bounds, fleet):
    courses = [columns(one, str(number)) for number, one in enumerate(rows)]
    answer = recommend(Wish(trace(*courses), bounds, around, current=current, fleet=fleet))
    whole(answer, bounds, fleet)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.none(),
        st.builds(
            Stated,
            st.floats(0.001, 1e4),
            st.floats(1e-5, 10),
            st.one_of(st.none(), st.floats(1, 10)),
            st.floats(0, 20),
            st.floats(0, 20),
        ),
        st.builds(
            Samples,
            st.lists(st.lists(st.integers(0, 50), max_size=30).map(tuple), min_size=0, max_size=4).map(tuple),
            st.just(1.0),
        ),
    ),
    st.one_of(st.none(), CURRENT),
    AROUND,
    BOUNDS,
    st.integers(1, 20),
)
def test_any_other_demand_does_too(demand, current, around, bounds, fleet):
    whole(recommend(Wish(demand, bounds, around, current=current, fleet=fleet)), bounds, fleet)


def whole(answer: Recommendation, bounds: Bounds, fleet: int) -> None:
    assert answer.connections is not None
    assert answer.settings["pool_size"] >= 1
    assert answer.settings["max_overflow"] >= 0
    assert answer.settings["pool_timeout"] > 0
    assert answer.connections == answer.settings["pool_size"] + answer.settings["max_overflow"]
    assert answer.connections <= max(1, bounds.ceilings[0].connections // fleet)
    for one in answer.because:
        assert one.reason
        json.dumps(dict(one.evidence), allow_nan=False)
    if answer.size_range is not None:
        assert answer.size_range.least <= answer.size_range.most


def test_everybody_at_the_same_moment():
    answer = recommend(Wish(trace(columns([(5.0, 0.0, 0.1)] * 30))))
    assert answer.connections == 30


def test_uses_of_no_time_need_one_connection():
    assert recommend(Wish(trace(columns([(float(n), 0.0, 0.0) for n in range(100)])))).connections == 1


def test_a_closed_loop_recorded_at_an_ample_pool_needs_what_its_callers_need():
    course = demands.closed(20, pause=demands.USE, turns=1000)
    callers = callers_of(course)
    needed = next(
        size
        for size in range(1, 21)
        if sum(wait > 0.010 for wait in replay_closed(callers, size)) <= 0.01 * len(course.arrivals)
    )
    answer = recommend(Wish(trace(course)))
    assert answer.connections is not None
    assert abs(answer.connections - needed) <= 2


@pytest.mark.parametrize("callers", [8, 20, 50])
def test_callers_without_a_pause_never_need_more_connections_than_they_are(callers):
    answer = recommend(Wish(trace(demands.closed(callers, pause=0, size=callers))))
    assert answer.connections is not None
    assert answer.connections <= callers


def test_a_night_batch_of_long_uses_is_no_saturated_database():
    # Short uses by day, few at once; long ones by night, many at once: the database minds neither.
    day = demands.poisson(4, 100)
    draw = random.Random(3)
    night = [(200 + arrival * 10, 0.0, draw.expovariate(1 / 2.0)) for arrival in (n / 100 for n in range(1000))]
    both = columns([*zip(day.arrivals, day.waits, day.uses, strict=True), *night])
    assert recommend(Wish(trace(both))).saturated is None


def test_a_million_checkouts_by_thirty_sizes_is_no_matter_of_minutes():
    # A tenth of it here; the benchmark has the whole. Generous, since others share the machine.
    from dbdoctor.sizing.replay import sweep

    course = demands.poisson(8, 250)
    assert len(course.arrivals) > 90_000
    began = time.process_time()
    sweep([course], range(1, 31))
    assert time.process_time() - began < 10


def test_epochs_and_many_processes():
    lines = [
        json.dumps({"arrival": 1_790_000_000 + n / 50, "use": 0.05, "process": f"host-{n % 40}:{n % 40}"})
        for n in range(4_000)
    ]
    answer = recommend(Wish(read_trace(lines)))
    assert answer.demand.processes == 40
    assert answer.connections == 1
