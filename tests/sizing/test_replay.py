from array import array
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from dbdoctor.model.demand import Course
from dbdoctor.sizing.closed_loop import callers_of, is_closed
from dbdoctor.sizing.closed_loop import replay as replay_closed
from dbdoctor.sizing.histogram import Histogram
from dbdoctor.sizing.replay import most_at_once, offered_load, replay, sweep, windows_of
from tests.sizing import demands

DEMAND = st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 20)), min_size=1, max_size=60)


def simpy_waits(arrivals: Sequence[float], uses: Sequence[float], size: int) -> list[float]:
    """The same queue by a library that we did not write."""
    environment = simpy.Environment()
    pool = simpy.Resource(environment, capacity=size)
    waits = [0.0] * len(arrivals)

    def caller(index: int) -> Generator[Any, Any, None]:
        yield environment.timeout(arrivals[index])
        with pool.request() as request:
            yield request
            waits[index] = environment.now - arrivals[index]
            yield environment.timeout(uses[index])

    for index in range(len(arrivals)):
        environment.process(caller(index))
    environment.run()
    return waits


@pytest.mark.parametrize("size", [1, 5, 8, 9, 12])
@pytest.mark.parametrize("shape", [demands.poisson, demands.bursty, demands.heavy_tailed])
def test_each_wait_is_what_a_queueing_library_says(shape, size):
    course = shape(seconds=5)
    assert replay(course.arrivals, course.uses, size) == pytest.approx(
        simpy_waits(course.arrivals, course.uses, size), abs=1e-9
    )


@given(DEMAND, st.integers(1, 8))
def test_one_connection_more_never_makes_anybody_wait_longer(pairs, size):
    course = demands.course(pairs)
    fewer, more = (replay(course.arrivals, course.uses, one) for one in (size, size + 1))
    assert all(later <= sooner + 1e-9 for sooner, later in zip(fewer, more, strict=True))


@given(DEMAND, st.integers(1, 8), st.floats(0, 5))
def test_longer_uses_never_make_anybody_wait_less(pairs, size, extra):
    course = demands.course(pairs)
    plain = replay(course.arrivals, course.uses, size)
    longer = replay(course.arrivals, course.uses, size, extra_use=extra)
    assert all(one <= other + 1e-9 for one, other in zip(plain, longer, strict=True))


@given(DEMAND)
def test_nobody_waits_with_as_many_connections_as_are_ever_wanted_at_once(pairs):
    course = demands.course(pairs)
    most = most_at_once(course)
    assert max(replay(course.arrivals, course.uses, most)) == 0
    assert most == 1 or max(replay(course.arrivals, course.uses, most - 1)) > 0


@given(DEMAND)
def test_a_sweep_is_the_replay_of_each_size(pairs):
    course = demands.course(pairs)
    swept = sweep([course], range(1, 6))
    for size in range(1, 6):
        waits = replay(course.arrivals, course.uses, size)
        total = swept.total(size)
        assert total.count == len(waits)
        assert total.longest == max(waits)
        assert total.mean == pytest.approx(sum(waits) / len(waits))


def test_each_process_has_a_pool_of_its_own():
    one = demands.course([(0, 1), (0.1, 1)])
    swept = sweep([one, one._replace(process="b")], [1])
    assert swept.total(1).waited == 0.5
    assert swept.total(1).longest == pytest.approx(0.9)
    assert swept.busy == pytest.approx(offered_load([one])) == pytest.approx(2 / 1.1)


def test_windows_hold_every_checkout_once():
    courses = [demands.poisson(seconds=3), demands.poisson(seconds=1, seed=2), demands.course([(0, 1)])]
    windows = windows_of(courses)
    assert 25 <= len(windows) <= 35
    for index, course in enumerate(courses):
        mine = [window for window in windows if window.course == index]
        assert mine[0].start == 0
        assert mine[-1].stop == len(course.arrivals)
        assert all(one.stop == other.start for one, other in pairwise(mine))


@given(st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=1), st.floats(0.01, 0.999))
def test_a_quantile_is_right_within_one_per_cent(waits, share):
    histogram = Histogram()
    histogram.add(len(waits), [wait for wait in waits if wait > 0])
    exact = sorted(waits)[max(0, -int(-share * len(waits) // 1) - 1)]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.011, abs=2e-7)
    assert histogram.longest == max(waits)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_above_counts_who_waited_longer(waits, bound):
    histogram = Histogram()
    histogram.add(len(waits), [wait for wait in waits if wait > 0])
    least = sum(wait > bound * 1.011 + 2e-7 for wait in waits)
    most = sum(wait > bound / 1.011 for wait in waits)
    assert least <= histogram.above(bound) <= most


def test_independent_callers_are_no_closed_loop_and_threads_without_a_pause_are():
    assert not any(map(is_closed, (demands.poisson(), demands.bursty(), demands.heavy_tailed(), demands.diurnal())))
    assert is_closed(demands.closed(20, pause=0, size=5))
    assert is_closed(demands.closed(20, pause=0.002, size=15))


def test_throttled_callers_come_more_often_when_they_are_served_sooner():
    recorded = demands.closed(20, pause=0.001, size=5)
    callers = callers_of(recorded)
    assert len(callers) == 20
    same, more = replay_closed(callers, 5), replay_closed(callers, 20)
    assert sum(same) / len(same) == pytest.approx(sum(recorded.waits) / len(recorded.waits), rel=0.02)
    assert max(more) == 0
    # Replayed at the times as they were recorded, nobody would seem to need more than they had.
    assert len(more) == len(recorded.arrivals)


def test_an_empty_course_is_no_load():
    nothing = Course("", array("d"), array("d"), array("d"))
    assert offered_load([nothing]) == 0
    assert nothing.span == 0
