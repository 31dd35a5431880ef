import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.demand import Course
from dbdoctor.sizing.processor_sharing import simulate, work_of
from dbdoctor.sizing.replay import replay
from tests.sizing import demands


def test_two_share_one_core():
    done = simulate([0.0, 0.0], [1.0, 1.0], [0, 0], 2, 1)
    assert done.responses == [2.0, 2.0]
    done = simulate([0.0, 1.0], [2.0, 1.0], [0, 0], 2, 1)
    assert done.responses == [pytest.approx(3.0), pytest.approx(2.0)]


def test_who_waits_for_a_connection_does_not_slow_the_others():
    done = simulate([0.0, 0.0], [1.0, 1.0], [0, 0], 1, 1)
    assert done.waits == [0.0, 1.0]
    assert done.uses == [1.0, 1.0]


def test_pools_are_apart_and_cores_are_shared():
    done = simulate([0.0, 0.0], [1.0, 1.0], [0, 1], 1, 1)
    assert done.waits == [0.0, 0.0]
    assert done.uses == [2.0, 2.0]


def test_one_core_shared_is_m_m_1_by_the_book():
    course = demands.poisson(load=0.6, seconds=2000, seed=4)
    done = simulate(course.arrivals, course.uses, [0] * len(course.uses), 1000, 1)
    mean = sum(done.responses) / len(done.responses)
    assert mean == pytest.approx(demands.USE / (1 - 0.6), rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 20)), min_size=1, max_size=50), st.integers(1, 6))
def test_with_a_core_for_each_connection_it_is_the_plain_queue(pairs, size):
    course = demands.course(pairs)
    done = simulate(course.arrivals, course.uses, [0] * len(pairs), size, size)
    assert done.waits == pytest.approx(replay(course.arrivals, course.uses, size), abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 20)), min_size=1, max_size=50), st.integers(1, 4))
def test_the_work_behind_recorded_uses_is_found_again(pairs, cores):
    plan = demands.course(pairs)
    done = simulate(plan.arrivals, plan.uses, [0] * len(pairs), 100, cores)
    recorded = Course("", plan.arrivals, type(plan.uses)("d", done.waits), type(plan.uses)("d", done.uses))
    assert work_of([recorded], cores)[0] == pytest.approx(list(plan.uses), rel=1e-4, abs=1e-4)
