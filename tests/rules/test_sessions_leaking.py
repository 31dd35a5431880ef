"""What leaks is found, whatever else the same process does; each finding provoked, with its evidence."""

import dataclasses
import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dbdoctor.history import History
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.holding import Frame, Holding
from dbdoctor.model.leaks import GROUP_BY, LeaksReport, Verdict, WatchOptions
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.session import ABORTED, ACTIVE, Detail, Session, Waiter
from dbdoctor.model.snapshot import EndedSessions, PreparedTransaction, ReplicationSlot, Snapshot
from dbdoctor.model.target import Target
from dbdoctor.rules import sessions as rules
from tests.rules.pool_model import START, Job, PoolModel
from tests.rules.watching import TARGET, codes, in_transaction, session, verdicts, watch


def only(report: LeaksReport, code: str) -> Finding:
    found = [finding for finding in report.findings if finding.code == code]
    assert len(found) == 1, codes(report)
    json.dumps(found[0].evidence)
    assert not found[0].title.endswith(".")
    return found[0]


def says(statement: str, **more: Any) -> Callable[[Session], Detail]:
    return lambda _session: Detail(None, statement, **more)


@given(
    seed=st.integers(0, 2**32),
    every=st.floats(0.1, 4.0),
    works=st.floats(0.001, 0.4),
    steady=st.booleans(),
    busy=st.floats(0.5, 10.0),
    since=st.floats(0.0, 30.0),
)
@example(seed=0, every=4.0, works=0.25, steady=False, busy=0.5, since=0.0)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_engine_per_request(seed, every, works, steady, busy, since):
    """Each request opens a session of its own and leaves it in a pool that nobody asks; beside it, perhaps, a good pool."""
    rng = random.Random(seed)
    jobs, now = [], 0.0
    while now < 70:
        now += every if steady else rng.uniform(0.5, 1.5) * every
        jobs.append(Job(now, rng.uniform(0, works), kept=True))
    leaking = PoolModel(0, 10_000).run(jobs)
    good = PoolModel(5, 5, first_id=50_000).run([Job(n / busy, 0.05) for n in range(int(70 * busy))])
    report = watch(
        lambda t: itertools.chain(leaking.sessions_at(t), good.sessions_at(t)),
        since=since,
        seconds=34.0,  # with one each 4 s or so, 24 s from the first session on show too few
        explain=says("ROLLBACK"),
    )
    assert verdicts(report) == {"shop": "leak"}
    assert "engine-per-request" in codes(report)
    rate = 60 / every
    trend = report.groups[0].trend
    if steady and since > every:
        assert trend is not None
        assert trend.per_minute == pytest.approx(rate, rel=0.35)
        assert report.forecast is not None


def test_the_forecast_of_a_constant_rate():
    leaking = PoolModel(0, 10_000).run([Job(0.7 * n, 0.01, kept=True) for n in range(200)])
    report = watch(leaking.sessions_at, since=0.0, seconds=30, limit=150)
    taken = len(list(leaking.sessions_at(30.0))) + 1
    assert report.forecast is not None
    assert report.forecast.latest is not None
    assert report.forecast.seconds == pytest.approx((147 - taken) * 0.7, rel=0.05)
    assert report.forecast.earliest <= report.forecast.seconds <= report.forecast.latest
    assert only(report, "slots-run-out").severity is Severity.ERROR


def test_a_session_or_two_more_are_no_trend():
    held = [in_transaction(1, -60.0), in_transaction(2, 3.0, started_at=2.0), in_transaction(3, 8.0, started_at=7.0)]
    report = watch(lambda t: [one for one in held if (one.started_at or 0.0) <= START + t], seconds=10.0)
    trend = report.groups[0].trend
    assert trend is not None
    assert trend.low <= 0 < trend.per_minute < trend.high
    assert report.forecast is None


def test_what_was_proven_before_a_gap_stays_proven():
    from dbdoctor.history import History
    from dbdoctor.model.snapshot import Gap, Snapshot

    leaking = PoolModel(0, 1000).run([Job(2.0 * n, 0.01, kept=True) for n in range(20)])
    history = History(WatchOptions(idle_in_transaction=5.0))
    for second in (*range(16), *range(21, 25)):
        if second == 21:
            history.gap(Gap(START + 15, START + 21, "the machine stood still"))
        history.add(Snapshot(START + second, tuple(leaking.sessions_at(second))))
    assert verdicts(rules.judge_leaks(history, TARGET, None)) == {"shop": "leak"}


def test_growth_that_has_stopped_is_no_forecast():
    """A pool with a limit stops the leak; nothing more is to be foretold."""
    leaking = PoolModel(5, 10).run([Job(0.5 * n, 0.01, kept=True) for n in range(30)])
    report = watch(leaking.sessions_at, since=0.0, seconds=30)
    assert verdicts(report) == {"shop": "leak"}
    assert report.forecast is None
    assert report.groups[0].trend is not None
    assert report.groups[0].trend.per_minute == 0.0


def test_checkouts_never_returned_are_told_from_pools_never_asked():
    leaking = PoolModel(0, 1000).run([Job(1.0 * n, 0.01, kept=True) for n in range(60)])
    report = watch(leaking.sessions_at, since=10.0, explain=says("SELECT count(*) FROM orders WHERE name = 'x'"))
    found = only(report, "sessions-only-grow")
    assert "x" not in " ".join(found.rows).split("name = ")[1][:4], "literals are masked"
    assert "engine-per-request" not in codes(report)


@pytest.mark.parametrize(
    "statement",
    [
        r"SELECT E'it\'s hidden', 'hidden'",
        r"SELECT 'C:\', 'hidden'",
        "SELECT 1 /* don't */, 'hidden'",
        "-- name: don't SELECT 'hidden'",
        """SELECT "o'clock", 'hidden'""",
        "SELECT $a$it's hidden$a$, 'hidden'",
        "SELECT 'hidden and cu",
    ],
)
def test_literals_are_masked_whatever_stands_before_them(statement):
    open_since = in_transaction(1, 0.0)
    report = watch(lambda _: [open_since], explain=says(statement))
    rows = " ".join(only(report, "idle-in-transaction").rows)
    assert "hidden" not in rows
    assert "…" in rows


def test_engines_dropped_and_swept_by_the_garbage_collector():
    """Every ten requests or so the collector closes all that was forgotten, the youngest with the oldest."""
    pools = PoolModel(0, 1000).run([Job(0.8 * n, 0.01, kept=True) for n in range(80)])
    for connection in pools.connections:
        connection.closed = (connection.opened // 8 + 1) * 8.0
    for seconds in (20.0, 24.0, 25.0, 31.0):
        report = watch(pools.sessions_at, since=1.0, seconds=seconds, explain=says("ROLLBACK"))
        assert verdicts(report) == {"shop": "leak"}, seconds
        assert "engine-per-request" in codes(report)


def test_workers_of_which_each_loses_a_session_now_and_then():
    """Too few in each process to tell; together they do."""
    jobs = {n: [Job(11.0 * k + n, 0.01, kept=True) for k in range(6)] for n in range(1, 7)}
    pools = {n: PoolModel(0, 100, first_id=100 * n).run(jobs[n]) for n in jobs}
    report = watch(lambda t: (s for n, pool in pools.items() for s in pool.sessions_at(t, process=n)), since=10.0)
    assert {group.verdict.value for group in report.groups} == {"leak"}


def test_a_process_that_ends_is_not_swept():
    pools = PoolModel(0, 1000).run([Job(0.8 * n, 0.01, kept=True) for n in range(20)])
    for connection in pools.connections:
        connection.closed = 17.0
    assert codes(watch(pools.sessions_at)) == set()


def test_a_single_snapshot_can_only_suspect_growth():
    leaking = PoolModel(0, 1000).run([Job(1.0 * n, 0.01, kept=True) for n in range(60)])
    report = watch(leaking.sessions_at, since=50.0, seconds=0.0, explain=says("ROLLBACK"))
    assert verdicts(report) == {"shop": "suspect"}
    assert only(report, "engine-per-request").severity is Severity.WARNING


@pytest.mark.parametrize(
    ("changes", "detail", "holds"),
    [
        ({"writes": True}, Detail(None, "INSERT INTO x"), "writes"),
        ({}, Detail(None, "SELECT 1 FOR UPDATE", 2, "RowShareLock", "public.x"), "locks"),
        ({"holds_back": 12}, Detail(None, "SELECT 1", 1, "AccessShareLock"), "snapshot"),
        ({}, Detail(None, "SELECT 1", 1, "AccessShareLock"), "nothing"),
        ({}, None, "nothing"),
    ],
)
def test_idle_in_transaction(changes, detail, holds):
    held = in_transaction(7, **changes)
    explain = (lambda _one: detail) if detail else None
    report = watch(lambda _t: [held], explain=explain)
    found = only(report, "idle-in-transaction")
    assert found.evidence["holds"] == {holds: 1}
    assert found.sessions == ({"id": 7, "started_at": held.started_at},)
    assert verdicts(report) == {"shop": "leak"}
    assert report.sessions[0].verdict.value == "leak"


def test_short_of_the_threshold_nothing_is_said():
    report = watch(lambda t: [in_transaction(7, since=t - 4.9)])
    assert codes(report) == set()
    assert verdicts(report) == {"shop": "ok"}


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"application": "psql"}, Detail(None, "BEGIN")),
        ({"application": "DBeaver 24.1.0 - Main"}, Detail(None, "BEGIN")),
        ({"user": "rdsadmin"}, Detail(None, "SELECT 1")),
        ({}, Detail(None, "SELECT pg_try_advisory_lock(1)", advisory_locks=1)),
    ],
)
def test_people_administrators_and_leaders_are_spared(changes, detail):
    report = watch(lambda _t: [in_transaction(7, **changes)], explain=lambda _one: detail)
    assert codes(report) == set()
    assert {group.verdict.value for group in report.groups} == {"ok"}


def test_an_application_named_like_a_tool_is_not_spared():
    report = watch(lambda _t: [in_transaction(7, application="psql-sync")])
    assert verdicts(report) == {"psql-sync": "leak"}


def test_a_leader_that_also_wrote_is_not_spared():
    held = in_transaction(7, writes=True)
    report = watch(lambda _t: [held], explain=says("INSERT", advisory_locks=1))
    assert "idle-in-transaction" in codes(report)


def test_a_cursor_that_advances_and_one_that_does_not():
    def advancing(now: float, every: float = 6.0) -> Session:
        last = now // every * every
        return in_transaction(1, since=last, transaction_at=-50.0, statement_at=last - 0.01, holds_back=3)

    fetches = says("FETCH FORWARD 100 FROM c")
    report = watch(lambda t: [advancing(t)], explain=fetches)
    assert codes(report) == set()
    report = watch(lambda t: [advancing(min(t, 8.0))], explain=fetches, seconds=40)
    assert "idle-in-transaction" in codes(report), "it has stopped"
    report = watch(lambda _t: [in_transaction(1, holds_back=3)], explain=fetches)
    assert "idle-in-transaction" in codes(report), "it has fetched once only"


def test_an_aborted_transaction():
    held = session(9, state=ABORTED, changed_at=-1.0)
    report = watch(lambda _t: [held], explain=says("SELECT 1/0"))
    assert only(report, "aborted-transaction").sessions[0]["id"] == 9
    assert verdicts(report) == {"shop": "leak"}


def test_an_aborted_transaction_in_which_statements_go_on_failing():
    def at(now: float) -> list[Session]:
        return [session(9, state=ABORTED, changed_at=now // 2 * 2 - 0.1)]

    assert "aborted-transaction" in codes(watch(at))


def test_remote_calls_within_a_transaction():
    """Seven seconds between two statements, then a commit; again and again."""

    def at(now):
        within = now % 8.0
        return [in_transaction(3, since=now - within) if within < 7.5 else session(3, changed_at=now - within + 7.5)]

    report = watch(at, since=100.0)
    found = only(report, "transaction-across-pauses")
    assert found.evidence["long_pauses"] >= 2
    assert found.severity is Severity.ERROR
    assert verdicts(report) == {"shop": "leak"}


def test_one_long_pause_that_ended_is_a_suspicion_that_returned():
    def at(now):
        return [in_transaction(3, since=0.0) if now < 8 else session(3, changed_at=8.0)]

    report = watch(at)
    assert verdicts(report) == {"shop": "suspect"}
    assert report.groups[0].returned == 1
    assert only(report, "transaction-across-pauses").severity is Severity.WARNING


@pytest.mark.parametrize("interval", [0.5, 1.0, 2.0])
def test_polling_in_a_transaction_that_never_ends(interval):
    def at(now):
        last = now // 2.3 * 2.3
        return [in_transaction(3, since=last, transaction_at=-1.0, statement_at=last - 0.002)]

    report = watch(at, interval=interval)
    assert only(report, "transaction-across-pauses").evidence["lasting_transactions"] == 1


@pytest.mark.parametrize("ahead", [0.05, 0.4, 0.9, 1.3, 1.7, 1.95])
def test_polling_as_often_as_we_look(ahead):
    """Looks in step with it would always find it at the same moment after a statement, here `ahead` of the next."""

    def at(now):
        last = (now + ahead) // 2.0 * 2.0 - ahead
        return [in_transaction(3, since=last, transaction_at=-10.0, statement_at=last - 0.002)]

    assert only(watch(at, interval=2.0), "transaction-across-pauses").evidence["lasting_transactions"] == 1


@pytest.mark.parametrize("every", [0.25, 0.5])
def test_short_pauses_in_step_with_our_looks_are_work(every):
    def at(now):
        last = (now + 0.01) // every * every - 0.01
        return [in_transaction(3, since=last, transaction_at=-60.0, statement_at=last - 0.002)]

    assert codes(watch(at, interval=2.0)) == set()


def test_a_report_of_many_statements_in_one_snapshot_is_work():
    """A tenth of a second of thinking between statements of a second, for minutes."""

    def at(now):
        within = now % 1.1
        since = now - within
        if within < 1.0:
            return [session(3, state=ACTIVE, changed_at=since, statement_at=since, transaction_at=-60.0, holds_back=9)]
        return [in_transaction(3, since=since + 1.0, transaction_at=-60.0, holds_back=9)]

    assert codes(watch(at, interval=0.7)) == set()


def test_chatty_transactions_are_work():
    """A bulk load of small statements: mostly idle in transaction, but never for long."""

    def at(now):
        return [in_transaction(3, since=now - 0.04, transaction_at=-60.0)]

    assert codes(watch(at)) == set()


def test_an_idle_session_that_blocks():
    blocker = in_transaction(1, since=-10.0, writes=True)
    waiting = session(2, state=ACTIVE, changed_at=-9.0, waits_for="Lock", application="victim", transaction_at=-9.0)
    report = watch(lambda _t: [blocker, waiting], waiters=(Waiter(2, START - 9.0, (1,)),))
    found = only(report, "idle-session-blocks")
    assert found.evidence["waiting_sessions"] == [2]
    assert verdicts(report) == {"shop": "leak", "victim": "ok"}


def test_contention_between_workers_is_not_blocking():
    blocker = session(1, state=ACTIVE, changed_at=-9.0)
    waiting = session(2, state=ACTIVE, changed_at=-9.0, waits_for="Lock")
    assert codes(watch(lambda _t: [blocker, waiting], waiters=(Waiter(2, START - 9.0, (1,)),))) == set()
    brief = in_transaction(1, since=23.0)
    assert codes(watch(lambda _t: [brief, waiting], waiters=(Waiter(2, START + 22.0, (1,)),))) == set()


def test_waiting_for_a_leaders_advisory_lock_is_not_blocking():
    leader = in_transaction(1, since=-10.0)
    follower = session(2, state=ACTIVE, changed_at=-9.0, waits_for="Lock")
    report = watch(
        lambda _t: [leader, follower],
        waiters=(Waiter(2, START - 9.0, (1,)),),
        explain=says("SELECT pg_advisory_lock(1)", advisory_locks=1),
    )
    assert codes(report) == set()


def test_a_person_who_blocks_is_said_to_block_and_no_leak():
    blocker = in_transaction(1, since=-100.0, application="psql")
    waiting = session(2, state=ACTIVE, changed_at=-9.0, waits_for="Lock")
    report = watch(lambda _t: [blocker, waiting], waiters=(Waiter(2, START - 9.0, (1,)),))
    assert codes(report) == {"idle-session-blocks"}
    assert verdicts(report) == {"psql": "ok", "shop": "ok"}


def declared(**pool: Any) -> Target:
    from dataclasses import replace

    return replace(TARGET, pool=PoolSettings(**pool))


def test_more_than_the_declared_pool():
    many = [session(n, changed_at=-1.0, started_at=-50.0) for n in range(1, 6)]
    report = watch(lambda _t: many, target=declared(pool_size=2, max_overflow=1))
    found = only(report, "more-than-declared-pool")
    assert (found.evidence["sessions"], found.evidence["allowed"]) == (5, 3)
    assert verdicts(report) == {"shop": "leak"}
    assert codes(watch(lambda _t: many, target=declared(pool_size=3, max_overflow=2))) == set()
    assert codes(watch(lambda _t: many, target=declared(pool_size=0, max_overflow=2))) == set(), "unbounded"


def test_declared_processes_are_counted_together():
    many = [session(n, changed_at=-1.0, started_at=-50.0, process=n, client=f"10.0.0.{n}") for n in range(1, 8)]
    pool = declared(pool_size=1, max_overflow=0, processes=2, replicas=3)
    assert only(watch(lambda _t: many, target=pool), "more-than-declared-pool").evidence["allowed"] == 6
    other = [one._replace(user="somebody") for one in many]
    assert codes(watch(lambda _t: other, target=pool)) == set()


def test_a_pool_larger_than_its_use():
    resting = [session(n, changed_at=-400.0, started_at=-900.0) for n in range(1, 9)]
    report = watch(lambda _t: resting)
    assert only(report, "pool-larger-than-use").evidence["unused"] == 8
    assert verdicts(report) == {"shop": "ok"}, "it rests"


def test_never_used():
    unused = [session(n, changed_at=-400.0, started_at=-400.0, statement_at=None) for n in range(1, 4)]
    unused = [one._replace(statement_at=None) for one in unused]
    assert only(watch(lambda _t: unused), "never-used").evidence["never_used"] == 3


def test_a_forgotten_prepared_transaction_and_whose_it_is():
    prepared = (PreparedTransaction("order-1", START - 60.0, "app", "shop", 5),)
    report = watch(lambda _t: [], prepared=prepared)
    assert only(report, "forgotten-prepared-transaction").group is None
    by = session(4, changed_at=-60.0, application="orders")
    report = watch(lambda _t: [by], prepared=prepared, explain=says("PREPARE TRANSACTION 'order-1'"))
    group = only(report, "forgotten-prepared-transaction").group
    assert group is not None
    assert group["application"] == "orders"
    assert verdicts(report) == {"orders": "leak"}
    fresh = (PreparedTransaction("order-1", START + 23.0, "app", "shop", 5),)
    assert codes(watch(lambda _t: [], prepared=fresh)) == set()


def test_a_client_that_is_gone():
    working = session(5, state=ACTIVE, changed_at=-30.0)
    report = watch(lambda _t: [working], clients_gone=frozenset({5}))
    assert only(report, "client-gone").sessions[0]["id"] == 5
    assert codes(watch(lambda _t: [working], clients_gone=frozenset({5}), seconds=0)) == set(), "one sample is chance"


@pytest.mark.parametrize(("age", "severity"), [(10, Severity.INFO), (2_000_000, Severity.WARNING)])
def test_a_replication_slot_without_reader(age, severity):
    slots = (ReplicationSlot("standby_2", False, age), ReplicationSlot("standby_1", True, 5_000_000))
    report = watch(lambda _t: [], replication_slots=slots)
    assert only(report, "replication-slot-holds-back").severity is severity


def test_clients_vanished():
    from dbdoctor.history import History
    from dbdoctor.model.snapshot import Snapshot

    history = History()
    history.add(Snapshot(START, (), ended=EndedSessions(3, 0, 0)))
    history.add(Snapshot(START + 10, (), ended=EndedSessions(5, 0, 0)))
    report = rules.judge_leaks(history, TARGET, None)
    assert only(report, "clients-vanished").evidence["abandoned"] == 2


def hidden(number: int = 1, **changes: Any) -> Session:
    bare = {"started_at": None, "changed_at": None, "statement_at": None, "state": None, "hidden": True, "client": None}
    return session(number)._replace(**{**bare, **changes})


def test_hidden_sessions_are_unknown_and_said_to_be():
    report = watch(lambda _t: [hidden(1), hidden(2), session(3, user="me", changed_at=-1.0)])
    assert {group.verdict.value for group in report.groups} == {"unknown", "ok"}
    assert only(report, "view-restricted").evidence["hidden_sessions"] == 2


def test_a_hidden_transaction_that_stays_open():
    report = watch(lambda _t: [hidden(1, transaction_key="3/77")])
    assert "transaction-open-unseen" in codes(report)
    assert report.groups[0].verdict.value == "suspect"
    changing = watch(lambda t: [hidden(1, transaction_key=f"3/{t}")])
    assert "transaction-open-unseen" not in codes(changing)


def test_hidden_sessions_that_grow():
    report = watch(lambda t: [hidden(n) for n in range(int(t) + 1)])
    assert "sessions-only-grow" in codes(report)
    assert report.forecast is not None


def test_a_gap_is_not_a_drop_nor_growth():
    from dbdoctor.history import History
    from dbdoctor.model.snapshot import Gap, Snapshot

    history = History(WatchOptions())
    for second in range(5):
        history.add(Snapshot(START + second, tuple(session(n) for n in range(1, 20))))
    history.gap(Gap(START + 4, START + 60, "the server restarted"))
    for second in range(61, 66):
        history.add(
            Snapshot(START + second, tuple(session(n, started_at=60.0, changed_at=60.5) for n in range(101, 104)))
        )
    report = rules.judge_leaks(history, TARGET, None)
    group = report.groups[0]
    assert (group.opened, group.closed) == (0, 0)
    assert None in group.counts
    assert report.findings == ()
    assert len(report.observed.gaps) == 1


def test_a_session_seen_while_it_logs_in_gets_its_group_afterwards():
    def at(now: float) -> list[Session]:
        if now < 1:
            return [session(1, user=None, database=None, application=None, state=ACTIVE, started_at=-0.1)]
        return [in_transaction(1, since=0.5, started_at=-0.1)]

    report = watch(at)
    assert verdicts(report) == {"shop": "leak"}


@pytest.mark.parametrize("word", GROUP_BY)
def test_groups_are_made_by_the_words_asked_for(word):
    changed = {"process": 99} if word == "process" else {word: "other"}
    both = [session(1, changed_at=-1.0), session(2, changed_at=-1.0, **changed)]
    assert len(watch(lambda _t: both, options=WatchOptions(group_by=(word,))).groups) == 2
    others = tuple(name for name in GROUP_BY if name != word)
    assert len(watch(lambda _t: both, options=WatchOptions(group_by=others)).groups) == 1


def holding(number: int = 1, **changes: Any) -> Holding:
    """Resting in the pool of process 4242; `since` in `changes` is seconds after START."""
    if changes.get("since") is not None:
        changes["since"] = START + changes["since"]
    frames = (Frame("/app/shop/orders.py", 12, "take_order"), Frame("/app/shop/web.py", 88, "handler"))
    return Holding(4242, None, frames, 60.0, number, "shop.py")._replace(**changes)


def resting(number: int) -> Session:
    """One of several that were used one after the other, and rest since."""
    return session(number, started_at=-100.0 + 2 * number, changed_at=-99.0 + 2 * number)


def test_a_checkout_that_is_held_and_not_used():
    """Idle outside any transaction: without the recorder nothing could be said of it."""
    held = session(1, changed_at=-80.0)
    assert codes(watch(lambda _t: [held])) == set()
    report = watch(lambda _t: [held], holdings={1: holding(since=-80.5, thread="worker-3")})
    finding = only(report, "held-checkout")
    assert finding.severity is Severity.ERROR
    assert finding.rows == (
        "taken at shop/orders.py:12 take_order: 1 session, held for 1m 44s",
        "1  1m 44s  held for 1m 44s  by worker-3",
    )
    place = finding.evidence["taken_at"][0]
    assert (place["file"], place["line"], place["function"]) == ("/app/shop/orders.py", 12, "take_order")
    assert place["longest_held_seconds"] == 104.5
    group = report.groups[0]
    assert (group.verdict, [one.place for one in group.held]) == (Verdict.LEAK, ["shop/orders.py:12 take_order"])
    assert [one.verdict for one in report.sessions] == [Verdict.LEAK]


@pytest.mark.parametrize(
    ("changes", "told", "detail"),
    [
        ({}, {"since": None}, None),
        ({}, {"since": -40.0, "leak_after": 600.0}, None),
        ({"state": ACTIVE}, {"since": -80.0}, None),
        ({"application": "psql"}, {"since": -80.0}, None),
        ({"changed_at": -5.0}, {"since": -80.0}, None),
        ({}, {"since": -80.0}, Detail(None, "LISTEN orders")),
        ({}, {"since": -80.0}, Detail(None, "select 1", advisory_locks=1)),
    ],
    ids=["at rest", "not yet", "at work", "a person", "used since", "listens", "leads"],
)
def test_what_is_held_for_a_reason_is_no_leak(changes, told, detail):
    held = session(1, **{"changed_at": -80.0, **changes})
    report = watch(
        lambda _t: [held], holdings={1: holding(**told)}, explain=lambda _s: detail or Detail(None, "COMMIT")
    )
    assert codes(report) == set()
    assert set(verdicts(report).values()) == {"ok"}
    assert report.groups[0].held == ()


def test_who_comes_back_from_long_silences_is_no_leak():
    """A worker that keeps its connection, and gets a task each 8 s."""
    report = watch(
        lambda t: [session(1, changed_at=t - t % 8)], holdings={1: holding(since=-80.0, leak_after=5.0)}, seconds=30.0
    )
    assert codes(report) == set()


def test_the_line_is_told_with_what_the_server_found():
    sessions = [in_transaction(1, -70.0), in_transaction(2, -70.0), in_transaction(3, -70.0)]
    told = {1: holding(since=-71.0), 2: holding(since=-71.0)}
    report = watch(lambda _t: sessions, holdings=told)
    finding = only(report, "idle-in-transaction")
    assert finding.rows[:2] == (
        "taken at shop/orders.py:12 take_order: 2 sessions, held for up to 1m 35s",
        "of 1 other session the recorder knows nothing",
    )
    assert finding.evidence["known_to_recorder"] == 2
    assert any("the recorder knows 2 of the 3 sessions" in reason for reason in report.groups[0].reasons)


def test_a_pause_that_is_over_has_its_line_too():
    """Seven seconds in the middle of a transaction, twice; then it is given back, and another line takes it."""
    first, second = holding(since=-20.0), holding(since=12.0, taken_at=(Frame("/app/b.py", 3, "other"),))

    def at(t: float) -> Session:
        if t < 12:
            return in_transaction(1, t - t % 7, transaction_at=-20.0)
        return session(1, changed_at=t - 0.1, transaction_at=None)

    history = History(WatchOptions(idle_in_transaction=5.0))
    for second_of_watch in range(21):
        t = float(second_of_watch)
        history.add(Snapshot(START + t, (at(t),), holdings={1: first if t < 12 else second}))
    finding = only(rules.judge_leaks(history, TARGET, None), "transaction-across-pauses")
    assert finding.rows == ("taken at shop/orders.py:12 take_order: 1 session",)


def test_a_suspicion_that_the_recorder_answers():
    """Sessions used one after the other, at rest: perhaps an engine each; the recorder knows in which pools they are."""
    sessions = [resting(number) for number in range(1, 11)]
    alone = {number: holding(number) for number in range(1, 11)}
    together = {number: holding(1) for number in range(1, 11)}
    assert set(verdicts(watch(lambda _t: sessions)).values()) == {"suspect"}
    assert set(verdicts(watch(lambda _t: sessions, holdings=alone)).values()) == {"suspect"}
    report = watch(lambda _t: sessions, holdings=together)
    assert set(verdicts(report).values()) == {"ok"}
    assert codes(report) == set()
    # Of one of them nothing is known: the suspicion stays.
    del together[1]
    assert set(verdicts(watch(lambda _t: sessions, holdings=together)).values()) == {"suspect"}


def test_a_proof_stays_a_proof():
    """The server saw an engine for each request; that the recorder sees all of them given back changes nothing, but names it."""
    sessions = [session(n, started_at=2.0 * n, changed_at=2.0 * n + 0.1, statement_at=2.0 * n) for n in range(12)]
    told = {n: holding(n) for n in range(12)}
    report = watch(lambda t: [one for one in sessions if (one.started_at or 0.0) <= START + t], holdings=told)
    finding = only(report, "engine-per-request")
    assert finding.severity is Severity.ERROR
    assert finding.rows[0].startswith("last taken at shop/orders.py:12 take_order: ")
    assert set(verdicts(report).values()) == {"leak"}
    # All in one and the same pool: a pool gives out what it has, so they were opened for another reason.
    report = watch(
        lambda t: [one for one in sessions if (one.started_at or 0.0) <= START + t],
        holdings=dict.fromkeys(told, holding(1)),
    )
    assert set(verdicts(report).values()) == {"ok"}


def test_more_than_declared_but_all_given_back():
    """Perhaps more processes than one thinks; that nothing is held, the recorder knows."""
    target = dataclasses.replace(TARGET, pool=PoolSettings(2, 1))
    sessions = [session(n, process=None) for n in range(1, 6)]
    assert set(verdicts(watch(lambda _t: sessions, target=target)).values()) == {"suspect"}
    report = watch(lambda _t: sessions, target=target, holdings={n: holding(1) for n in range(1, 6)})
    assert set(verdicts(report).values()) == {"ok"}
    assert report.groups[0].settled == "the recorder sees all 5 given back in time: none has been held for 1m 00s"
    assert only(report, "more-than-declared-pool")
    report = watch(lambda _t: sessions, target=target, holdings={n: holding(1) for n in range(1, 5)})
    assert set(verdicts(report).values()) == {"suspect"}


def test_every_rule_that_fails_is_said(monkeypatch):
    from dbdoctor.rules.sessions import idle_in_transaction

    def broken(_watched):
        raise KeyError("secret")

    monkeypatch.setattr(idle_in_transaction, "judge", broken)
    report = watch(lambda _t: [in_transaction(1), session(9, state=ABORTED, changed_at=-1.0)])
    assert "aborted-transaction" in codes(report)
    assert [one.rule for one in report.skipped] == ["idle-in-transaction"]
    assert "secret" not in report.skipped[0].reason


def test_every_code_is_provoked_here():
    """So that a new rule comes with its test."""
    from pathlib import Path

    text = Path(__file__).read_text(encoding="utf-8")
    for module in rules.modules():
        for code in module.CODES:
            assert f'"{code}"' in text, code
