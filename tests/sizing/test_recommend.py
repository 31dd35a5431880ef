import json
from dataclasses import replace

import pytest

from dbdoctor.model.demand import Samples, Source, Stated, Trace
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.sizing import Because, Bounds, Ceiling, Recommendation, Surroundings, WaitTarget
from dbdoctor.sizing.bounds import bounds_of
from dbdoctor.sizing.fleet import budget
from dbdoctor.sizing.recommend import Wish, recommend
from tests.sizing import demands
from tests.sizing.test_choice import trace
from tests.sizing.test_fleet import BATCH, WEB, room

FACTS = ServerFacts("PostgreSQL", "18.0", 180000, slots=Slots(100, 3, 40))
AROUND = Surroundings(
    idle_timeout=350, idle_timeout_of="AWS NLB", deadline=10, round_trip=0.0005, threads=40, keepalive_resets_it=True
)
ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@pytest.fixture(scope="module")
def steady() -> Trace:
    return trace(demands.poisson(seconds=40))


@pytest.fixture(scope="module")
def bursty() -> Trace:
    return trace(demands.bursty(seconds=60))


def reasons(answer: Recommendation) -> dict[str, Because]:
    return {one.setting: one for one in answer.because}


def test_every_setting_has_a_reason_and_its_numbers(bursty):
    answer = recommend(Wish(bursty, bounds_of(FACTS, AROUND, ours=20), AROUND))
    assert set(answer.settings) == {
        "pool_size",
        "max_overflow",
        "pool_timeout",
        "pool_recycle",
        "pool_pre_ping",
        "pool_use_lifo",
        "connect_args",
    }
    assert answer.settings == {one.setting: one.value for one in answer.because}
    assert answer.settings["pool_size"] + answer.settings["max_overflow"] == answer.connections
    assert answer.settings["pool_recycle"] == 280
    assert answer.settings["connect_args"] == ARGUMENTS
    assert answer.settings["pool_timeout"] < 10
    for one in answer.because:
        assert one.reason
        assert one.evidence
        json.dumps(dict(one.evidence))
    assert answer.demand.source is Source.TRACE
    assert answer.demand.source.worth in answer.notes
    assert answer.prediction is not None
    assert answer.prediction.point.p99 <= 0.010
    assert answer.prediction.connects_share <= 0.005
    assert (
        answer.prediction.longest.least
        <= answer.prediction.point.longest * 1.001
        <= answer.prediction.longest.most * 1.002
    )
    assert {point.size for point in answer.prediction.sweep} >= {answer.connections}


def test_what_is_fine_is_left_as_it_is(bursty):
    current = PoolSettings(26, 6, 5, 280, True, True)
    around = replace(AROUND, connect_args={**ARGUMENTS, "password": "not ours to repeat"})
    answer = recommend(Wish(bursty, bounds_of(FACTS, around, ours=20), around, current=current))
    assert answer.current_is_fine
    assert not any(one.changes for one in answer.because)
    assert (answer.settings["pool_size"], answer.settings["max_overflow"]) == (26, 6)
    assert "not ours" not in repr(answer.settings) + repr(answer.because)


@pytest.mark.parametrize(
    ("current", "changed"),
    [
        (PoolSettings(5, 10, 5, 280, True, True), "pool_size"),
        (PoolSettings(80, 10, 5, 280, True, True), "pool_size"),
        (PoolSettings(26, 6, 30, 280, True, True), "pool_timeout"),
        (PoolSettings(26, 6, 5, 3600, True, True), "pool_recycle"),
        (PoolSettings(26, 6, 5, -1, True, True), "pool_recycle"),
        (PoolSettings(26, 6, 5, 280, False, True), "pool_pre_ping"),
    ],
)
def test_what_is_not_fine_is_changed_and_nothing_else(bursty, current, changed):
    around = replace(AROUND, connect_args=ARGUMENTS)
    answer = recommend(Wish(bursty, bounds_of(FACTS, around, ours=20), around, current=current))
    assert not answer.current_is_fine
    assert {name for name, one in reasons(answer).items() if one.changes} - {"max_overflow", "pool_use_lifo"} == {
        changed
    }


def test_overflow_that_churns_is_a_reason_to_change(steady):
    around = replace(AROUND, connect_args=ARGUMENTS)
    answer = recommend(Wish(steady, bounds_of(FACTS, around), around, current=PoolSettings(5, 10, 5, 280, True, False)))
    assert reasons(answer)["pool_size"].changes
    assert answer.settings["pool_size"] >= 10
    assert answer.prediction is not None
    assert answer.prediction.connects_share <= 0.005


def test_bounds_bind_and_what_could_not_be_met_is_said(bursty):
    answer = recommend(Wish(bursty, bounds_of(FACTS, AROUND, ours=20), AROUND, fleet=4))
    assert answer.connections == (100 - 3 - 20 - 3) // 4
    assert "the server's slots" in reasons(answer)["pool_size"].reason
    assert "would meet the target" in answer.incomplete[0]
    assert answer.prediction is not None
    assert answer.prediction.point.size == answer.connections
    assert answer.prediction.point.p99 > 0.010


def test_a_budget_of_the_fleet_binds_and_is_shown(bursty):
    table = budget([WEB, BATCH], room(100))
    share = next(row.each for row in table.rows if row.service == "web")
    answer = recommend(Wish(bursty, room(100), AROUND, budget=table, allotted=share))
    assert answer.budget is table
    assert answer.connections == share == 9
    hopeless = budget([WEB, BATCH], room(5))
    assert recommend(Wish(None, room(5), AROUND, budget=hopeless, allotted=1)).incomplete[-len(hopeless.give_up) :] == (
        hopeless.give_up
    )


def test_a_saturated_database_is_the_answer(steady):
    answer = recommend(Wish(trace(demands.saturated()), bounds_of(FACTS, AROUND), AROUND, current=PoolSettings(40, 0)))
    assert answer.saturated is not None
    assert "a larger pool will not help" in answer.saturated
    assert answer.connections is not None
    assert answer.connections <= 10
    assert answer.prediction is None
    assert any("nothing predicts waits" in note for note in answer.notes)
    assert recommend(Wish(steady)).saturated is None


@pytest.mark.parametrize(
    ("demand", "source"),
    [
        (Samples(((1, 2, 3, 4) * 30,), 1.0), Source.SAMPLES),
        (Stated(200, 0.02), Source.STATED),
        (None, Source.NOTHING),
    ],
)
def test_the_source_and_its_worth_are_named(demand, source):
    answer = recommend(Wish(demand))
    assert answer.demand.source is source
    assert answer.notes[0] == source.worth
    assert answer.size_range is not None
    assert answer.size_range.least < answer.size_range.most
    assert answer.prediction is None


def test_behind_a_transaction_pooler_there_is_no_pool(steady):
    around = Surroundings(pooler="PgBouncer", pooler_mode="transaction", driver="psycopg")
    answer = recommend(Wish(steady, around=around, current=PoolSettings(5, 10)))
    assert answer.settings == {"poolclass": "NullPool", "connect_args": {"prepare_threshold": None}}
    assert answer.connections is None
    assert answer.server_settings[0].setting == "default_pool_size"
    asleep = recommend(
        Wish(steady, around=replace(around, driver="psycopg2"), current=PoolSettings(pool_class="NullPool"))
    )
    assert asleep.current_is_fine


def test_a_ping_that_is_dear_is_not_recommended_where_recycling_covers_it(steady):
    far = replace(AROUND, round_trip=0.03)
    answer = recommend(Wish(steady, around=far))
    assert answer.settings["pool_pre_ping"] is False
    assert "30 ms" in reasons(answer)["pool_pre_ping"].reason
    assert recommend(Wish(steady, around=replace(far, idle_timeout=None))).settings["pool_pre_ping"] is True


def test_a_ping_that_is_set_is_kept_near_the_limit(steady):
    """A fifth of a use is the limit: what is set then stays, on or off, so that a gate does not flap."""
    assert steady.courses
    for current in (True, False):
        for share in (0.15, 0.25):
            around = replace(AROUND, round_trip=share * demands.USE)
            answer = recommend(Wish(steady, around=around, current=PoolSettings(pool_pre_ping=current)))
            assert answer.settings["pool_pre_ping"] is current
            assert not reasons(answer)["pool_pre_ping"].changes


def test_a_ping_is_counted_as_use(steady):
    without = recommend(Wish(steady, around=Surroundings(round_trip=0.0)))
    slow = recommend(Wish(steady, around=Surroundings(round_trip=0.02)))
    already = recommend(
        Wish(steady, around=Surroundings(round_trip=0.02), current=PoolSettings(1, 0, pool_pre_ping=True))
    )
    assert without.connections is not None
    assert slow.connections is not None
    assert slow.connections > without.connections + 5
    assert already.connections == without.connections


@pytest.mark.parametrize(
    ("product", "driver", "tcp", "expected"),
    [
        ("postgresql", "psycopg2", False, {"connect_timeout": 5}),
        ("postgresql", "asyncpg", True, {"timeout": 5}),
        ("sqlserver", "pyodbc", True, {"timeout": 5}),
        ("sqlserver", "pymssql", True, None),
    ],
)
def test_connect_args_in_the_driver_s_own_words(product, driver, tcp, expected):
    answer = recommend(Wish(None, around=Surroundings(product=product, driver=driver, tcp=tcp)))
    assert answer.settings.get("connect_args") == expected


def test_a_process_of_one_thread_waits_for_no_connection(bursty):
    """What the recording has more at once than there are threads waits for a thread, which no pool_timeout is about."""
    around = Surroundings(threads=1)
    answer = recommend(Wish(bursty, bounds_of(None, around), around))
    assert answer.connections == 1
    assert answer.settings["pool_timeout"] == 30
    assert "a connection for every thread" in reasons(answer)["pool_timeout"].reason
    assert any("waits for a thread" in note for note in answer.notes)


def test_no_timeout_makes_up_for_connections(bursty):
    answer = recommend(Wish(bursty, Bounds((Ceiling("the server's slots", 4, "told"),))))
    assert answer.settings["pool_timeout"] == 30
    assert "more connections that are wanted" in reasons(answer)["pool_timeout"].reason


def test_odbc_keepalives_where_the_driver_s_own_come_too_late():
    odbc = Surroundings(product="sqlserver", driver="pyodbc", idle_timeout=40)
    assert recommend(Wish(None, around=odbc)).settings["connect_args"] == {
        "timeout": 5,
        "KeepAlive": 20,
        "KeepAliveInterval": 1,
    }
    late = recommend(Wish(None, around=replace(odbc, idle_timeout=350)))
    assert late.settings["connect_args"] == {"timeout": 5}
    assert "of its own every 30 s" in reasons(late)["connect_args"].reason
    gateway = recommend(Wish(None, around=replace(odbc, keepalive_resets_it=False)))
    assert gateway.settings["connect_args"] == {"timeout": 5}
    assert any("pyodbc.pooling = False" in note for note in late.notes)
    assert any("pool_reset_on_return stays" in note for note in late.notes)


def test_a_deadline_shorter_than_seconds():
    answer = recommend(Wish(None, around=Surroundings(deadline=0.8, idle_timeout=2)))
    assert answer.settings["pool_timeout"] == 0.2
    assert answer.settings["pool_recycle"] == 1
    assert answer.settings["connect_args"]["keepalives_idle"] == 1


def test_the_deadlock_floor_comes_before_the_wish(steady):
    around = Surroundings(threads=20, per_request=2)
    answer = recommend(Wish(steady, bounds_of(FACTS, around), around))
    assert answer.connections == 21
    assert "20 threads x (2 connections each - 1) + 1" in reasons(answer)["pool_size"].reason


def test_a_lenient_target_needs_fewer(steady):
    strict, lenient = (
        recommend(Wish(steady, target=target)).connections
        for target in (WaitTarget(0.999, 0.001), WaitTarget(0.9, 0.05))
    )
    assert strict is not None
    assert lenient is not None
    assert lenient < strict


def test_samples_of_a_full_pool_are_a_lower_bound():
    full = Samples(((3, 5, 5, 5, 5) * 20,), 1.0)
    told = recommend(Wish(full, current=PoolSettings(5, 0)))
    assert any("the pool was full" in note for note in told.notes)
    assert not any("full" in note for note in recommend(Wish(full, current=PoolSettings(5, 10))).notes)


def test_progress_is_told(steady):
    told: list[str] = []
    recommend(Wish(steady), told.append)
    assert len(told) > 5
