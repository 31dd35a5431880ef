"""Pools that work as pools do are never called leaky, whatever their load: simulated, many times."""

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rules.pool_model import Job, PoolModel
from tests.rules.watching import verdicts, watch

OK = {"shop": "ok"}


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 12),
    overflow=st.integers(0, 10),
    lifo=st.booleans(),
    per_second=st.floats(0.1, 20.0),
    works=st.floats(0.001, 2.0),
    pauses=st.floats(0.0, 3.0),
    holds=st.floats(0.0, 0.5),
    since=st.floats(0.0, 60.0),
    interval=st.sampled_from([0.5, 1.0, 2.0]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_pool_under_any_load_is_healthy(
    seed, size, overflow, lifo, per_second, works, pauses, holds, since, interval
):
    rng = random.Random(seed)
    now, jobs = 0.0, []
    while now < since + 24:
        now += rng.expovariate(per_second)
        jobs.append(Job(now, rng.uniform(0, works), min(rng.uniform(0, pauses), 3.0), rng.uniform(0, holds)))
    pool = PoolModel(size, overflow, lifo=lifo).run(jobs)
    assert verdicts(watch(pool.sessions_at, since=since, interval=interval)) in (OK, {})


@given(
    seed=st.integers(0, 2**32),
    workers=st.integers(2, 16),
    every=st.floats(0.5, 5.0),
    works=st.floats(0.05, 2.0),
    holds=st.floats(0.0, 3.0),
    thinks=st.floats(0.0, 2.0),
    lifo=st.booleans(),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_pool_that_grows_into_its_size_is_healthy(seed, workers, every, works, holds, thinks, lifo):
    """A worker more every so often, each in a closed loop; it holds its connection for a while after the commit."""
    rng = random.Random(seed)
    jobs = []
    for worker in range(workers):
        now = worker * every
        while now < 60:
            job = Job(now, works * rng.uniform(0.5, 1.5), holds=holds * rng.uniform(0.5, 1.5))
            jobs.append(job)
            now += job.works + job.holds + thinks * rng.uniform(0.5, 1.5) + 0.01
    pool = PoolModel(workers, 0, lifo=lifo).run(jobs)
    for since in (0.0, 5.0, 20.0):
        assert verdicts(watch(pool.sessions_at, since=since)) in (OK, {})


@pytest.mark.parametrize("lifo", [False, True])
def test_a_pool_filled_by_a_burst_rests(lifo):
    pool = PoolModel(10, 5, lifo=lifo).run([Job(0.01 * n, 0.5) for n in range(10)])
    for since in (0.0, 3.0, 100.0):
        assert verdicts(watch(pool.sessions_at, since=since)) == OK


def test_a_lifo_pool_under_falling_load_rests():
    jobs = [Job(now + 0.001 * worker, 0.3) for worker in range(10) for now in range(30 - 3 * worker)]
    pool = PoolModel(10, 0, lifo=True).run(jobs)
    assert verdicts(watch(pool.sessions_at, since=10.0)) == OK


@given(seed=st.integers(0, 2**32), per_second=st.floats(0.2, 20.0), holds=st.floats(0.0, 6.0))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_connections_without_a_pool_come_and_go(seed, per_second, holds):
    """Each job has its own session and closes it, even if it holds it idle for a while."""
    rng = random.Random(seed)
    now, jobs = 0.0, []
    while now < 60:
        now += rng.expovariate(per_second)
        jobs.append(Job(now, rng.uniform(0.001, 1.0), holds=rng.uniform(0.8, 1.2) * holds))
    pool = PoolModel(0, 10_000).run(jobs)
    assert verdicts(watch(pool.sessions_at, since=30.0)) in (OK, {})


def test_two_engines_in_one_process():
    read = PoolModel(3, 2).run([Job(0.5 * n, 0.1) for n in range(80)])
    write = PoolModel(3, 2, first_id=100).run([Job(0.3 + 3 * n, 0.1, 1.0) for n in range(15)])
    report = watch(lambda t: itertools.chain(read.sessions_at(t), write.sessions_at(t)), since=5.0)
    assert verdicts(report) == OK


def test_a_deploys_step_is_not_growth():
    old = PoolModel(8, 0).run([Job(0.01 * n, 0.2) for n in range(8)])
    new = PoolModel(8, 0, first_id=100).run([Job(12 + 0.01 * n, 0.2) for n in range(8)])

    def at(now):
        if now < 20:
            yield from old.sessions_at(now, process=1)
        yield from new.sessions_at(now, process=2)

    report = watch(at)
    assert verdicts(report) == OK
    assert report.forecast is None


@given(seed=st.integers(0, 2**32), processes=st.integers(2, 5), per_second=st.floats(0.5, 10.0))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_several_processes_behind_one_address(seed, processes, per_second):
    """What tells them apart is not known; each request falls on one of them by chance."""
    rng = random.Random(seed)
    jobs: dict[int, list[Job]] = {number: [] for number in range(processes)}
    now = 0.0
    while now < 60:
        now += rng.expovariate(per_second)
        jobs[rng.randrange(processes)].append(Job(now, rng.uniform(0.005, 0.3)))
    pools = [PoolModel(2, 1, first_id=1 + 100 * number).run(jobs[number]) for number in jobs]
    report = watch(lambda t: (s for pool in pools for s in pool.sessions_at(t, process=None)), since=10.0)
    assert verdicts(report) == OK


@pytest.mark.parametrize("process", [4242, None])
def test_a_burst_that_holds_its_connections_after_the_commit(process):
    """Some began after others had committed, none after others had been checked in; then the pool rests."""
    pool = PoolModel(10, 5).run([Job(5 + 0.06 * n, 0.1, holds=0.5) for n in range(9)])
    assert verdicts(watch(lambda t: pool.sessions_at(t, process=process))) == OK


@pytest.mark.parametrize("process", [4242, None])
def test_a_second_engine_that_warms_up(process):
    first = PoolModel(6, 0).run([Job(0.01 * n, 0.2) for n in range(6)])
    second = PoolModel(6, 0, first_id=100).run([Job(12 + 0.01 * n, 0.2) for n in range(6)])

    def at(now):
        return itertools.chain(first.sessions_at(now, process=process), second.sessions_at(now, process=process))

    assert verdicts(watch(at)) == OK


def test_listeners_beside_a_growing_pool():
    """What a listener holds is silent, and in use."""
    from dbdoctor.model.session import Detail

    listeners = PoolModel(3, 0).run([Job(0.5 * n, 0.01, kept=True) for n in range(3)])
    pool = PoolModel(8, 0, first_id=100).run([Job(4 + 2.5 * w + 0.6 * n, 0.5) for w in range(8) for n in range(60)])

    def explain(session):
        return Detail(None, "LISTEN orders" if session.id < 100 else "COMMIT")

    report = watch(lambda t: itertools.chain(listeners.sessions_at(t), pool.sessions_at(t)), explain=explain)
    assert verdicts(report) == OK
