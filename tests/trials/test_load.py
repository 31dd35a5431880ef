"""An open loop through real engines on a real server: what waits is seen, and nothing is left when it ends."""

from __future__ import annotations

import contextlib
import time
from array import array
from collections.abc import Iterator

import pytest

from dbdoctor.errors import CannotLookError
from dbdoctor.model.demand import Course, Stated, Trace
from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan
from dbdoctor.probe.deadline import Deadline
from dbdoctor.sizing.barging import WAKE_UP
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.load import LoadOrder, LoadSeen, sleep_statement
from dbdoctor.trials.load_judge import Run, foretell, judge_load, model_of
from dbdoctor.trials.load_window import window, windows
from dbdoctor.trials.loading import Loading, loading
from dbdoctor.trials.observer import PostgresqlObserver
from dbdoctor.trials.targets import address_of
from tests.servers.postgresql import PostgresServer
from tests.sizing import demands

_TWO = PoolPlan("current", "two", pool_size=2, max_overflow=0, pool_timeout=30.0)


def _even(count: int, every: float, use: float) -> LoadOrder:
    return LoadOrder([every * number for number in range(count)], [use] * count, threads=count, warm=2)


def _model(pool: PoolPlan):
    return model_of(pool, connect=0.005, round_trip=0.0, wake_up=WAKE_UP)


@contextlib.contextmanager
def _loading(dsn: str) -> Iterator[Loading]:
    target = parse_dsn(dsn)
    address = address_of(target, Deadline.after(15.0))
    assert address is not None
    with (
        contextlib.closing(PostgresqlObserver(target, 15.0)) as observer,
        loading(target, address, observer) as load,
    ):
        yield load


def _run(dsn: str, pool: PoolPlan, order: LoadOrder) -> LoadSeen:
    with _loading(dsn) as load:
        return load.run(pool, order, lambda _seconds: None)


def _sessions(postgres: PostgresServer) -> int:
    return int(postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbdoctor-%'")[0][0])


def test_who_is_due_while_all_wait_has_waited_since_then(postgres):
    """Six at once, 0.2 s each, two connections: no omission, however the threads came to ask."""
    seen = _run(postgres.dsn(), _TWO, _even(6, 0.0, 0.2))
    waits = sorted(wait for wait in seen.waits if wait is not None)
    assert len(waits) == 6
    assert seen.timeouts == seen.errors == 0
    for wait, least in zip(waits, (0.0, 0.0, 0.2, 0.2, 0.4, 0.4), strict=True):
        assert least - 0.01 <= wait <= least + 3.0
    assert all(use >= 0.2 for use in seen.uses)
    assert _sessions(postgres) == 0


def test_a_few_threads_do_not_hide_a_wait(postgres):
    """Two threads serve six that are due at once: who is asked for late has waited all the same, and it is told."""
    seen = _run(postgres.dsn(), _TWO, _even(6, 0.0, 0.2)._replace(threads=2))
    assert max(wait for wait in seen.waits if wait is not None) >= 0.39
    assert max(seen.late) >= 0.39


def test_pool_timeouts_and_thrown_away_connections_are_counted(postgres):
    seen = _run(postgres.dsn(), PoolPlan("x", "x", pool_size=1, max_overflow=1, pool_timeout=0.1), _even(6, 0.0, 1.0))
    assert seen.timeouts == 4
    assert seen.connects == 1
    assert (seen.login or 0) > 0
    assert [wait for wait in seen.waits if wait is None] == [None] * 4


def test_ones_own_statement_may_hold_a_percent_sign(postgres):
    order = _even(3, 0.0, 0.0)._replace(statement="SELECT 'a' LIKE '%a%', pg_sleep(0.05)")
    seen = _run(postgres.dsn(), _TWO, order)
    assert seen.errors == 0, seen.error
    assert min(seen.uses) >= 0.05


def test_a_statement_that_fails_voids_the_measurement(postgres):
    order = _even(30, 0.001, 0.0)._replace(statement="SELECT no_such_column")
    seen = _run(postgres.dsn(), _TWO, order)
    assert seen.errors == 30
    course = Course("", array("d", order.arrivals), array("d", [0.0] * 30), array("d", order.uses))
    found = judge_load(_TWO, [Run(course, seen)], _model(_TWO), 0.01, own_uses=True)
    assert found.agrees is None
    assert "30 of 30 checkouts failed" in (found.void or "")
    assert "no_such_column" in (found.void or "")


def test_what_cannot_log_in_says_why(postgres):
    pool = PoolPlan("x", "x", connect_args={"options": "-c no_such_setting=1"})
    with pytest.raises(CannotLookError) as caught:
        _run(postgres.dsn(), pool, _even(1, 0.0, 0.0))
    assert "no_such_setting" in (caught.value.cause or "")


def test_left_in_the_middle_nothing_stays_on_the_server(postgres):
    """A tick that raises is what Ctrl-C does."""

    def stop(_seconds: float) -> None:
        if _sessions(postgres) >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), _loading(postgres.dsn()) as load:
        load.run(_TWO, _even(100, 0.05, 5.0), stop)
    end = time.monotonic() + 10
    while _sessions(postgres) and time.monotonic() < end:
        time.sleep(0.05)
    assert _sessions(postgres) == 0


def test_predicted_beside_measured(postgres):
    """Use times of half a second: what a busy machine adds is small beside them."""
    course = window(Trace((demands.course((0.1 * n, 0.5) for n in range(40)),), 40, 4.0, 1), 4.0)
    pool = PoolPlan("x", "x", pool_size=4, max_overflow=0)
    order = LoadOrder(course.arrivals, course.uses, threads=40, warm=4)
    found = judge_load(pool, [Run(course, _run(postgres.dsn(), pool, order))], _model(pool), 5.0, own_uses=False)
    assert found.void is None
    assert found.measured is not None
    assert found.ranges is not None
    assert found.predicted.mean == pytest.approx(0.45, abs=0.05)
    assert found.predicted.mean - 0.02 <= found.measured.mean <= found.predicted.mean + 0.5
    assert found.ranges.mean.least <= found.measured.mean <= found.ranges.mean.most
    assert found.use == pytest.approx(0.5, abs=0.1)


# The window and the judgement, without a server


def test_the_window_is_the_busiest_and_begins_at_zero():
    quiet = demands.course((float(n), 0.01) for n in range(60))
    busy = demands.course([*((n, 0.01) for n in range(60)), *((30 + n / 10, 0.5) for n in range(20))], "web-2")
    found = window(Trace((quiet, busy), 140, 60.0, 2), 5.0)
    assert found.process == "web-2"
    assert found.arrivals[0] == 0.0
    assert found.arrivals[-1] < 5.0
    assert list(found.uses).count(0.5) == 20


def test_several_processes_are_run_through_the_same_stretch():
    quiet = demands.course((float(n), 0.01) for n in range(60))
    busy = demands.course([*((n, 0.01) for n in range(60)), *((30 + n / 10, 0.5) for n in range(20))], "web-2")
    both = Trace((quiet, busy), 140, 60.0, 2)
    found = windows(both, 5.0, 8)
    assert [course.process for course in found] == ["web-2", ""]
    assert all(0 <= at < 5.0 for course in found for at in course.arrivals)
    assert len(found[1].arrivals) == 5, "its own checkouts at that time, not its busiest"
    assert [course.process for course in windows(both, 5.0, 1)] == ["web-2"]
    made = windows(Stated(100, 0.02, 3.0), 20.0, 3)
    assert len({tuple(course.arrivals) for course in made}) == 3


def test_stated_figures_become_a_demand_of_that_rate_with_a_burst():
    found = window(Stated(100, 0.02, 3.0), 300.0)
    assert len(found.arrivals) / 300 == pytest.approx(100, rel=0.05)
    assert sum(found.uses) / len(found.uses) == pytest.approx(0.02, rel=0.05)
    short = window(Stated(100, 0.02, 3.0), 2.0)
    in_second = [sum(1 for at in short.arrivals if begin <= at < begin + 1) for begin in (0, 1)]
    assert max(in_second) > 200


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.0004, 0.0129, 61.5, 3723.004])
def test_a_sleep_is_rounded_down(seconds):
    text = sleep_statement(Product.POSTGRESQL, seconds)
    asked = float(text.partition("(")[2].rstrip(")"))
    assert max(0.0, seconds - 0.001) - 1e-9 <= asked <= max(0.0, seconds) + 1e-9


def test_waitfor_has_a_clock():
    assert sleep_statement(Product.SQLSERVER, 3723.0045) == "WAITFOR DELAY '01:02:03.004'"


def test_a_client_that_was_late_measured_nothing():
    course = window(Stated(50, 0.02), 2.0)
    count = len(course.arrivals)
    seen = LoadSeen([0.03] * count, [0.02] * count, [0.03] * count, 0, 0, None, 0)
    found = judge_load(_TWO, [Run(course, seen)] * 2, _model(_TWO), 0.01, own_uses=False)
    assert "could not keep up" in (found.void or "")
    assert found.agrees is None


def test_a_wrong_prediction_is_said_to_be_wrong():
    course = window(Stated(50, 0.02, 1.0), 10.0)
    count = len(course.arrivals)
    pool = PoolPlan("x", "x", pool_size=20, max_overflow=0)
    right = LoadSeen([0.0001] * count, [0.02] * count, [0.0002] * count, 0, 0, None, 0)
    assert judge_load(pool, [Run(course, right)], _model(pool), 0.01, own_uses=False).agrees is True
    wrong = right._replace(waits=[0.3] * count)
    assert judge_load(pool, [Run(course, wrong)], _model(pool), 0.01, own_uses=False).agrees is False


def test_what_is_foretold_begins_with_open_connections():
    course = window(Stated(50, 0.02, 1.0), 5.0)
    ample = foretell(course, _model(PoolPlan("x", "x", pool_size=20, max_overflow=0)))
    assert ample.waits == (0.0, 0.0, 0.0, 0, 0)
    assert ample.most_at_once <= 20
    none = foretell(course, _model(PoolPlan("x", "x", pool_size=1, max_overflow=20)))
    assert none.waits.connects > 0
