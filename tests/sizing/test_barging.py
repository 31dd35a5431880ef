import random
import threading
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from dbdoctor.model.demand import Course
from dbdoctor.sizing.barging import PoolModel, simulate_one
from dbdoctor.sizing.replay import most_at_once, replay
from tests.sizing import demands

INSTANT = PoolModel(5, connect=0.0, wake_up=0.0)


class Connection:
    """All that a pool asks of a driver's connection."""

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


def real_pool(course: Course, **settings: Any) -> int:
    """The same schedule on SQLAlchemy's own pool, one event after the other: how many connections it opened."""
    opened: list[Any] = []

    def connect() -> Any:
        opened.append(Connection())
        return opened[-1]

    pool = QueuePool(connect, **settings)
    events = [(arrival, 1, index) for index, arrival in enumerate(course.arrivals)]
    events += [(a + u, 0, index) for index, (a, u) in enumerate(zip(course.arrivals, course.uses, strict=True))]
    out = {}
    for _when, arrives, index in sorted(events):
        if arrives:
            out[index] = pool.connect()
        else:
            out.pop(index).close()
    pool.dispose()
    return len(opened)


@pytest.mark.parametrize(("size", "lifo"), [(1, False), (5, False), (5, True), (10, False), (15, True)])
@pytest.mark.parametrize("shape", [demands.poisson, demands.bursty, demands.heavy_tailed])
def test_overflow_is_opened_and_thrown_away_as_sqlalchemy_does(shape, size, lifo):
    course = shape(seconds=5)
    overflow = most_at_once(course) - size + 1
    did, waits = simulate_one(course.arrivals, course.uses, INSTANT._replace(size=size, overflow=overflow, lifo=lifo))
    opened = real_pool(course, pool_size=size, max_overflow=overflow, use_lifo=lifo)
    assert did.connects == opened
    assert did.thrown_away == did.connects - min(size, did.most_open)
    assert waits == [0.0] * len(waits)


def test_waiters_and_timeouts_are_as_in_sqlalchemy():
    # One connection is held; two others wait for it, one of them too impatient.
    pool = QueuePool(cast(Any, Connection), pool_size=1, max_overflow=0, timeout=0.05)
    held = pool.connect()
    with pytest.raises(PoolTimeout):
        pool.connect()
    served = threading.Event()

    def wait():
        pool._timeout = 30
        connection = pool.connect()
        served.set()
        connection.close()

    waiter = threading.Thread(target=wait)
    waiter.start()
    while not cast(Any, pool._pool).not_empty._waiters:
        served.wait(0.001)
    held.close()
    waiter.join(20)
    assert served.is_set()
    pool.dispose()
    did, waits = simulate_one([0.0, 0.1, 0.2], [1.0, 0.5, 0.5], PoolModel(1, timeout=0.85, connect=0, wake_up=0.01))
    assert waits == [0.0, None, pytest.approx(0.81)]
    assert (did.served, did.timeouts) == (2, 1)


def test_a_newcomer_overtakes_a_waiter_that_is_still_waking_up():
    # 0 uses until 1; 1 waits since 0.5 and is woken at 1, but runs at 1.1 only; 2 comes at 1.05 and takes it.
    did, waits = simulate_one([0.0, 0.5, 1.05], [1.0, 0.2, 0.3], PoolModel(1, connect=0, wake_up=0.1))
    assert did.overtaken == 1
    assert waits == [0.0, pytest.approx(1.35 + 0.1 - 0.5), 0.0]


def test_recycle_is_the_age_since_connecting_at_checkout():
    model = PoolModel(1, connect=0.25, recycle=10, wake_up=0, ping=0.125)
    did, waits = simulate_one([0.0, 5.0, 9.0, 11.0, 20.0], [1.0] * 5, model)
    assert waits == [0.25, 0.125, 0.125, 0.25, 0.125]
    assert (did.connects, did.recycled) == (2, 1)


def test_pool_size_zero_and_overflow_below_zero_have_no_limit():
    course = demands.poisson(seconds=1)
    for model in (INSTANT._replace(size=0), INSTANT._replace(size=1, overflow=-1)):
        did, waits = simulate_one(course.arrivals, course.uses, model)
        assert max(wait for wait in waits if wait is not None) == 0
        assert did.most_open == most_at_once(course)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 10)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(0, 3),
    st.floats(0, 0.5),
)
def test_what_always_holds(pairs, size, overflow, wake_up):
    course = demands.course(pairs)
    model = PoolModel(size, overflow, timeout=5.0, connect=0.0, wake_up=wake_up)
    did, waits = simulate_one(course.arrivals, course.uses, model)
    assert did.served + did.timeouts == len(pairs)
    assert did.most_open <= size + overflow
    assert did.connects - did.thrown_away - did.recycled <= size
    # A woken waiter looks once more, however late it wakes up.
    assert all(wait is None or wait <= 5.0 + wake_up + 1e-9 for wait in waits)
    assert did.busy == pytest.approx(sum(use for use, wait in zip(course.uses, waits, strict=True) if wait is not None))


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 10)), min_size=1, max_size=40), st.integers(1, 5))
def test_without_a_wake_up_time_it_is_the_fair_queue(pairs, size):
    course = demands.course({arrival: (arrival, use) for arrival, use in pairs}.values())
    did, waits = simulate_one(course.arrivals, course.uses, INSTANT._replace(size=size, timeout=1e9))
    fair = replay(course.arrivals, course.uses, size)
    if did.overtaken == 0:
        assert waits == pytest.approx(fair, abs=1e-6)


def test_the_longest_wait_is_longer_than_in_a_fair_queue_and_the_mean_is_not():
    draw = random.Random(5)
    course = demands.poisson(load=8, seconds=200, seed=draw.randrange(99))
    fair = replay(course.arrivals, course.uses, 9)
    did, _ = simulate_one(course.arrivals, course.uses, PoolModel(9, connect=0.0))
    assert did.waits.mean == pytest.approx(sum(fair) / len(fair), rel=0.1)
    assert did.waits.longest > 1.1 * max(fair)
