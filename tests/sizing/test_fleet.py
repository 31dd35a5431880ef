from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.demand import Samples, Stated
from dbdoctor.model.server import ConnectionLimit, ServerFacts, Slots
from dbdoctor.model.sizing import Bounds, Ceiling, PoolerLimits, Service, Surroundings
from dbdoctor.sizing.bounds import bounds_of, deadlock_floor, worker_threads
from dbdoctor.sizing.curves import inferred, of_samples, of_stated
from dbdoctor.sizing.fleet import budget, declared, wish
from dbdoctor.sizing.limits import knee_note, limit, workers_note

FACTS = ServerFacts("PostgreSQL", "18.0", 180000, slots=Slots(200, 3, 50))


def room(connections: int) -> Bounds:
    return Bounds((Ceiling("the server's slots", connections, "as told"),))


# Three services with rollout surge and reserved slots; the sum by hand:
# 200 - 3 reserved - (50 - 20 ours) - 3 for administrators = 164.
# web (4 + 1) x 2 = 10 pools, worker (3 + 1) x 1 = 4 pools, batch 1 pool.
WEB = Service("web", replicas=4, workers=2, surge=1, curve=(9.0, 5.0, 3.0, 1.5, 0.8, 0.3, 0.1, 0.04, 0.01, 0.0))
WORKER = Service("worker", replicas=3, surge=1, curve=(2.0, 0.5, 0.1, 0.0))
BATCH = Service("batch", size=5)


def test_three_services_with_surge_and_reserved_slots():
    bounds = bounds_of(FACTS, Surroundings(), ours=20)
    found = budget([WEB, WORKER, BATCH], bounds)
    assert found.usable == 164
    assert "200 - 3 reserved - 30 used by others - 3 for administrators" in found.usable_working
    assert [(row.service, row.pools, row.each, row.total) for row in found.rows] == [
        ("web", 10, 10, 100),
        ("worker", 4, 4, 16),
        ("batch", 1, 5, 5),
    ]
    assert found.total == 121
    assert found.feasible
    assert found.rows[0].working == "(4 + 1 surge) replicas x 2 processes x 10 connections = 100"


def test_what_is_scarce_goes_where_it_takes_off_the_most_waiting():
    found = budget([WEB, WORKER], room(60))
    by_name = {row.service: row.each for row in found.rows}
    # For 4 connections the worker's processes lose 1.5 s of waiting each, for 10 the web's lose 4 s each.
    assert by_name == {"web": 5, "worker": 2}
    assert found.total == 58
    assert set(found.short_of_wishes) == {"web", "worker"}


@given(
    st.lists(
        st.builds(
            Service,
            name=st.uuids().map(str),
            replicas=st.integers(1, 5),
            workers=st.integers(1, 4),
            surge=st.integers(0, 2),
            curve=st.lists(st.floats(0, 10), min_size=1, max_size=12).map(lambda one: tuple(sorted(one, reverse=True))),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 300),
)
def test_the_sum_is_right_and_never_more_than_is_usable_where_it_can_be(services, usable):
    found = budget(services, room(usable))
    assert found.total == sum(row.total for row in found.rows) == sum(row.pools * row.each for row in found.rows)
    assert found.feasible == (sum(service.pools for service in services) <= usable)
    assert bool(found.give_up) != found.feasible
    assert all(1 <= row.each <= row.wanted for row in found.rows)
    for row in found.rows:  # nothing is left over that would have helped
        assert row.each == row.wanted or found.usable - found.total < row.pools


def test_what_cannot_be_is_said_with_what_to_give_up():
    services = [Service("web", replicas=20, workers=4, surge=5, floor=2), Service("worker", replicas=10)]
    found = budget(services, room(180))
    assert not found.feasible
    assert found.total == 210
    assert found.give_up[0] == "at their least the services need 210 connections and 180 are usable: 30 too many"
    assert found.give_up[1] == "roll out without surge, one replica at a time: 40 fewer, and then it fits"
    assert "web: 4 replicas fewer, 32 connections" in found.give_up
    assert "raise the server's limit by 30" in found.give_up[-1]


def test_a_declared_fleet_at_rest_and_in_a_rollout():
    services = [Service("web", replicas=3, workers=4, surge=3, engines=2, size=15)]
    assert declared(services, 400, rollout=False).total == 360
    rollout = declared(services, 400)
    assert rollout.total == 720
    assert not rollout.feasible
    assert rollout.rows[0].working == "(3 + 3 surge) replicas x 4 processes x 2 engines x 15 connections = 720"


def test_a_wish_is_the_size_or_what_the_demand_says_within_the_threads():
    assert wish(WEB) == 10
    assert wish(Service("a", size=7, curve=(1.0, 0.0))) == 7
    assert wish(Service("a", curve=(3.0, 2.0, 1.0), threads=2)) == 2
    assert wish(Service("a", floor=4)) == 4


def test_every_bound_with_its_sum():
    facts = ServerFacts(
        "postgresql", "18.0", 180000, slots=Slots(100, 5, 40), limits=(ConnectionLimit("role", "shop", 30, 12),)
    )
    around = Surroundings(threads=8, per_request=2, pooler="PgBouncer", pooler_mode="session")
    limits = PoolerLimits(clients=60, clients_of_others=5, pool_size=20, reserve=5, database=40)
    bounds = bounds_of(facts, around, ours=10, reserve=2, pooler=limits, cores=4)
    assert {one.name: one.connections for one in bounds.ceilings} == {
        "the server's slots": 100 - 5 - 30 - 2,
        "the role shop": 28,
        "PgBouncer's clients (max_client_conn)": 55,
        "PgBouncer's pool": 25,
        "PgBouncer's max_db_connections": 40,
        "the threads of a process": 16,
    }
    assert bounds.narrowest is not None
    assert bounds.narrowest.name == "PgBouncer's pool"
    sharing = replace(around, pooler_mode="transaction")
    assert "PgBouncer's pool" not in {one.name for one in bounds_of(facts, sharing, pooler=PoolerLimits(60)).ceilings}
    assert bounds.per_process is not None
    assert bounds.per_process.connections == 16
    assert (bounds.floor, bounds.knee) == (9, 8)


def test_workers_of_sql_server():
    # Microsoft's table of max worker threads, 64 bits.
    assert [worker_threads(cores) for cores in (4, 8, 16, 32, 64)] == [512, 576, 704, 960, 1472]
    facts = ServerFacts("SQL Server", "16", 16, slots=Slots(32767, 0, 100), extra={"max_workers": 576})
    bounds = bounds_of(facts, Surroundings())
    # Workers are a warning: sessions that rest take none.
    assert bounds.narrowest is not None
    assert bounds.narrowest.name == "the server's slots"
    assert limit(600, bounds).size == 600
    assert workers_note(30, bounds, 10) is None
    assert "600 connections, and the server has 576 workers: a request that finds none waits" in (
        workers_note(60, bounds, 10) or ""
    )
    azure = replace(facts, settings={"azure_gateway_idle_timeout": 1800.0})
    assert "is refused with 10928" in (workers_note(60, bounds_of(azure, Surroundings()), 10) or "")


@pytest.mark.parametrize(("threads", "each", "floor"), [(8, 1, 1), (8, 2, 9), (4, 3, 9), (1, 2, 2), (None, 2, None)])
def test_the_deadlock_floor(threads, each, floor):
    assert deadlock_floor(threads, each) == floor


def test_a_limit_says_what_binds():
    bounds = bounds_of(FACTS, Surroundings(threads=10), ours=20)
    assert limit(8, bounds, fleet=10).size == 8
    tight = limit(12, bounds, fleet=20)
    assert tight.size == 8
    assert tight.binds.startswith("at most 8: the server's slots: 164 (200 - 3")
    assert "12 connections in a process would meet the target" in tight.incomplete[0]
    threads = limit(30, bounds)
    assert (threads.size, threads.incomplete) == (10, ())
    assert limit(30, bounds, fleet=20, allotted=6).size == 6


def test_a_floor_that_cannot_be_had_is_said():
    bounds = bounds_of(FACTS, Surroundings(threads=10, per_request=2), ours=20)
    assert limit(2, bounds).size == 11
    tight = limit(2, bounds, fleet=40)
    assert tight.size == 4
    assert "11 connections are needed so that requests cannot block each other" in tight.incomplete[0]
    none = limit(2, bounds, fleet=400)
    assert none.size == 1
    assert "not even one connection" in none.incomplete[0]


def test_the_knee_warns_and_binds_nothing():
    bounds = bounds_of(None, Surroundings(), cores=4)
    assert limit(50, bounds).size == 50
    assert knee_note(4.0, 50, bounds, 1) is None
    assert "no law" in (knee_note(4.0, 50, bounds, 3) or "")
    assert knee_note(None, 50, bounds, 1)


def test_a_limit_of_some_services_binds_these_alone():
    role = Ceiling("the role shop", 30, "its limit of 30", services=("web",))
    found = budget([WEB, WORKER], Bounds((Ceiling("the server's slots", 164, "as told"), role)))
    assert {row.service: row.each for row in found.rows} == {"web": 3, "worker": 4}
    assert found.usable == 164
    assert found.feasible
    tight = budget([WEB, WORKER], Bounds((Ceiling("the server's slots", 164, "as told"), role._replace(connections=8))))
    assert not tight.feasible
    assert tight.give_up[0] == (
        "at their least the services need 10 connections and 8 are usable of the role shop: 2 too many"
    )


def test_a_service_of_unknown_demand_is_not_starved_by_one_that_is_known():
    """Both need ten; the one whose demand nobody recorded is taken to need what it has."""
    known = Service("known", wanted=10, curve=inferred(10))
    found = budget([known, Service("unknown", size=10, curve=inferred(10))], room(12))
    assert [row.each for row in found.rows] == [6, 6]


def test_curves_by_what_is_known():
    stated = of_stated(Stated(100, 0.02), 12)
    assert list(stated) == sorted(stated, reverse=True)
    assert stated[0] >= 100 * 0.3  # a load of 2, and of 6 in the busiest second: that has no end
    assert stated[-1] < 0.01
    assert list(of_samples(Samples(((0, 2, 4), (3, 1, 2)), 0.5), 4)) == pytest.approx([7 / 6, 0.5, 1 / 6, 0])
    guessed = inferred(15)
    assert list(guessed) == sorted(guessed, reverse=True)
    assert guessed[-1] < 0.5 < guessed[5]


def test_a_large_fleet_is_allotted_in_time():
    services = [Service(f"s{n}", curve=of_stated(Stated(50_000, 0.02), 3_400)) for n in range(3)]
    assert budget(services, room(4_000)).total == 4_000
