"""What a look at PostgreSQL 13 to 18 gives: each kind of session, seen by those who may and by those who may not."""

import contextlib
import time

import pytest

from dbdoctor.model.session import ABORTED, ACTIVE, CLIENT, IDLE, IDLE_IN_TRANSACTION, Detail
from dbdoctor.watch.source import Wanted
from tests.databases.asking import TRUST
from tests.servers.binaries import MATRIX
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.watch.looking import PATIENCE, RawSession, find, pid_of, session, source, wait_for_rows, wait_until_alone


@pytest.fixture(scope="module", params=MATRIX)
def running(request):
    settings: dict[str, str | int] = {"max_prepared_transactions": 5, "wal_level": "logical"}
    with PostgresServer(request.param, hba=TRUST, settings=settings) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        started.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
        started.execute("INSERT INTO orders VALUES (1), (2)")
        started.execute("GRANT ALL ON orders TO app, other, watcher")
        yield started


@pytest.fixture
def server(running):
    wait_until_alone(running)
    return running


def test_every_state_and_what_it_holds(server):
    with (
        session(server, "SELECT 1", application_name="idle one") as idle,
        session(server, "BEGIN", "SELECT * FROM orders") as reading,
        session(server, "BEGIN", "UPDATE orders SET note = 'x' WHERE id = 1") as writing,
        session(server, "BEGIN", "SELECT 1/0") as aborted,
        session(server, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM orders") as pinning,
        session(server, "SELECT pg_advisory_lock(42)") as leader,
        RawSession(server) as busy,
        source(server) as looking,
    ):
        busy.send(b"SELECT pg_sleep(60)")
        wait_for_rows(server, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'", "the sleeper")
        before = time.time()
        seen = looking.look(PATIENCE)
        assert before - 0.1 <= seen.at <= time.time() + 0.1
        states = {
            pid_of(idle): IDLE,
            pid_of(reading): IDLE_IN_TRANSACTION,
            pid_of(writing): IDLE_IN_TRANSACTION,
            pid_of(aborted): ABORTED,
            pid_of(pinning): IDLE_IN_TRANSACTION,
            pid_of(leader): IDLE,
            busy.pid: ACTIVE,
        }
        # Those of the superuser are the tests' own, which end as they like.
        assert {one.id: one.state for one in seen.sessions if one.user != "postgres"} == states
        assert seen.slots is not None
        assert (seen.slots.limit, seen.slots.reserved) == (40, 3)
        assert seen.slots.used == 1 + len(seen.sessions)
        assert seen.missing == ()
        assert (seen.prepared, seen.replication_slots, seen.ended) == (None, None, None)

        resting = find(seen, pid_of(idle))
        assert resting.client_port is not None
        assert resting.client_port > 0
        assert (resting.user, resting.database, resting.application) == ("other", "postgres", "idle one")
        assert (resting.client, resting.kind, resting.hidden) == ("127.0.0.1", CLIENT, False)
        assert resting.transaction_at is None
        moments = (resting.started_at, resting.statement_at, resting.changed_at, seen.at)
        assert list(moments) == sorted(moment for moment in moments if moment is not None)
        assert find(seen, pid_of(reading)).transaction_at is not None
        assert find(seen, pid_of(reading)).application is None
        assert {one.id for one in seen.sessions if one.writes} == {pid_of(writing)}
        assert find(seen, pid_of(pinning)).holds_back is not None
        assert find(seen, pid_of(reading)).holds_back is None
        assert find(seen, busy.pid).waits_for == "Timeout"
        assert find(seen, pid_of(idle)).waits_for is None

        told = looking.explain(seen, Wanted(tuple(states)), PATIENCE)
        changed = {one.id: one.changed_at for one in seen.sessions}
        assert told.details[pid_of(reading)] == Detail(
            changed[pid_of(reading)], "SELECT * FROM orders", 2, "AccessShareLock", "public.orders"
        )
        assert told.details[pid_of(writing)].strongest_lock == "RowExclusiveLock"
        assert told.details[pid_of(writing)].locked == "public.orders"
        assert told.details[pid_of(aborted)] == Detail(changed[pid_of(aborted)], "SELECT 1/0")
        assert told.details[pid_of(leader)] == Detail(
            changed[pid_of(leader)], "SELECT pg_advisory_lock(42)", advisory_locks=1
        )
        assert told.details.keys() == states.keys()
        assert (told.sessions, told.at, told.waiters) == (seen.sessions, seen.at, ())


def test_an_ordinary_role_is_shown_little_and_told_so(server):
    with (
        session(server, "SELECT 1", application_name="shop") as idle,
        session(server, "BEGIN", "SELECT * FROM orders") as reading,
        session(server, "BEGIN", "UPDATE orders SET note = 'x' WHERE id = 1") as writing,
        session(server, "BEGIN", "SELECT 1", user="app") as mine,
        source(server, "app") as looking,
    ):
        first, second = looking.look(PATIENCE), looking.look(PATIENCE)
        hidden = find(first, pid_of(idle))
        assert hidden[:7] == (pid_of(idle), None, "other", "postgres", "shop", None, None)
        assert hidden[7:12] == (None,) * 5
        assert (hidden.hidden, hidden.kind, hidden.transaction_key) == (True, CLIENT, None)
        assert find(first, pid_of(writing)).writes is True
        for one in (reading, writing):
            key = find(first, pid_of(one)).transaction_key
            assert key
            assert find(second, pid_of(one)).transaction_key == key
        with reading.cursor() as cursor:
            cursor.execute("ROLLBACK; BEGIN; SELECT 1")
        again = find(looking.look(PATIENCE), pid_of(reading)).transaction_key
        assert again not in (None, find(first, pid_of(reading)).transaction_key)

        own = find(first, pid_of(mine))
        assert (own.state, own.hidden, own.transaction_key) == (IDLE_IN_TRANSACTION, False, None)
        assert first.slots is not None
        assert first.slots.used == 5
        (missing,) = first.missing
        assert missing.what == "the state, start and address of 3 sessions of other roles"
        assert (missing.reason, missing.help) == (
            "the role app is not a member of pg_monitor",
            'GRANT pg_monitor TO "app";',
        )
        told = looking.explain(first, Wanted((pid_of(writing), pid_of(mine))), PATIENCE)
        assert told.details[pid_of(writing)].statement is None
        assert told.details[pid_of(writing)].strongest_lock == "RowExclusiveLock"
        assert told.details[pid_of(mine)].statement == "SELECT 1"
        assert told.missing == first.missing


def test_the_own_role_sees_its_own(server):
    with session(server, "BEGIN", "SELECT 1") as opened, source(server, "other") as looking:
        seen = looking.look(PATIENCE)
        assert [(one.id, one.state) for one in seen.sessions] == [(pid_of(opened), IDLE_IN_TRANSACTION)]
        assert seen.missing == ()


@pytest.mark.parametrize("role", ["watcher", "app"])
def test_who_waits_for_whom_and_since_when(server, role):
    update = b"UPDATE orders SET note = 'y' WHERE id = 1"
    with (
        session(server, "BEGIN", update.decode()) as holder,
        RawSession(server) as first,
        RawSession(server) as second,
        source(server, role) as looking,
    ):
        assert looking.explain(looking.look(PATIENCE), Wanted(blocking=True), PATIENCE).waiters == ()
        before = time.time()
        for waiter, number in ((first, 1), (second, 2)):
            waiter.send(update)
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            wait_for_rows(server, waiting, "the waiter", number)
        seen = looking.look(PATIENCE)
        assert find(seen, first.pid).waits_for == (None if role == "app" else "Lock")
        waiters = {one.id: one for one in looking.explain(seen, Wanted(blocking=True), PATIENCE).waiters}
        assert waiters.keys() == {first.pid, second.pid}
        assert waiters[first.pid].blocked_by == (pid_of(holder),)
        assert pid_of(holder) in waiters[second.pid].blocked_by or first.pid in waiters[second.pid].blocked_by
        since = waiters[first.pid].since
        if server.major == 13 and role == "app":
            assert since is None
        else:
            assert since is not None
            assert before - 0.1 <= since <= time.time()


def test_a_prepared_transaction_blocks_as_nobody(server):
    with session(server, "BEGIN", "UPDATE orders SET note = 'z' WHERE id = 2", "PREPARE TRANSACTION 'left ''over'"):
        pass
    try:
        with RawSession(server) as waiter, source(server) as looking:
            waiter.send(b"UPDATE orders SET note = 'q' WHERE id = 2")
            wait_for_rows(server, "SELECT 1 FROM pg_locks WHERE NOT granted", "the waiter")
            seen = looking.look(PATIENCE, thorough=True)
            (waiting,) = looking.explain(seen, Wanted(blocking=True), PATIENCE).waiters
            assert waiting.blocked_by == (0,)
    finally:
        server.execute("ROLLBACK PREPARED 'left ''over'")
    assert seen.prepared is not None
    (left,) = seen.prepared
    assert (left.name, left.owner, left.database) == ("left 'over", "other", "postgres")
    assert left.holds_back is not None
    assert 0 < left.prepared_at <= seen.at


@pytest.mark.parametrize("role", ["watcher", "app"])
def test_what_stands_beside_sessions(server, role):
    server.execute("SELECT pg_create_logical_replication_slot('forgotten', 'test_decoding')")
    server.execute("SELECT pg_create_physical_replication_slot('unused')")
    try:
        with source(server, role) as looking:
            seen = looking.look(PATIENCE, thorough=True)
            assert looking.look(PATIENCE).replication_slots is None
    finally:
        server.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    assert seen.prepared == ()
    slots = {slot.name: slot for slot in seen.replication_slots or ()}
    assert slots.keys() == {"forgotten", "unused"}
    assert slots["forgotten"].holds_back is not None
    assert (slots["forgotten"].active, slots["forgotten"].database) == (False, "postgres")
    assert slots["unused"].holds_back is None
    assert (seen.ended is None) == (server.major == 13)
    assert seen.missing == ()


def test_sessions_whose_clients_vanished_are_counted(server):
    if server.major == 13:
        return  # its pg_stat_database has no such columns: see the test before
    with source(server) as looking:
        before = looking.look(PATIENCE, thorough=True).ended
        assert before is not None
        with RawSession(server) as vanishing:
            vanishing.run(b"SELECT 1")

        def counted() -> bool:
            ended = looking.look(PATIENCE, thorough=True).ended
            return ended is not None and ended.abandoned > before.abandoned

        wait_until(counted, "the counter of abandoned sessions")


def test_a_detail_of_what_changed_meanwhile_is_dropped(server):
    with session(server, "BEGIN") as moving, session(server, "BEGIN") as staying, source(server) as looking:
        seen = looking.look(PATIENCE)
        with moving.cursor() as cursor:
            cursor.execute("SELECT 'somewhere else'")
        told = looking.explain(seen, Wanted((pid_of(moving), pid_of(staying), 2**31 - 1)), PATIENCE)
        assert told.details.keys() == {pid_of(staying)}


def test_locks_are_named_where_we_can_look_them_up(server):
    server.execute("CREATE DATABASE elsewhere")
    try:
        with (
            session(
                server, "CREATE TABLE t (a int)", "BEGIN", "LOCK TABLE t", user="postgres", dbname="elsewhere"
            ) as far,
            session(server, "BEGIN", "LOCK TABLE orders IN SHARE MODE", user="postgres") as near,
            session(server, "BEGIN", 'CREATE TABLE "we""ird" (a int)', user="postgres") as unseen,
            source(server) as looking,
        ):
            ids = (pid_of(far), pid_of(near), pid_of(unseen))
            told = looking.explain(looking.look(PATIENCE), Wanted(ids), PATIENCE).details
    finally:
        server.execute("DROP DATABASE elsewhere")
    assert (told[ids[0]].strongest_lock, told[ids[0]].locked) == ("AccessExclusiveLock", None)
    assert (told[ids[1]].strongest_lock, told[ids[1]].locked) == ("ShareLock", "public.orders")
    assert told[ids[2]].strongest_lock == "AccessExclusiveLock"


def test_new_roles_and_databases_are_named_when_they_appear(server):
    with source(server) as looking:
        assert looking.look(PATIENCE).sessions == ()
        server.execute('CREATE ROLE "lät er" LOGIN')
        server.execute('CREATE DATABASE "später"')
        with session(server, user="lät er", dbname="später") as opened:
            seen = find(looking.look(PATIENCE), pid_of(opened))
        server.execute('DROP DATABASE "später"')
        server.execute('DROP ROLE "lät er"')
    assert (seen.user, seen.database) == ("lät er", "später")


def test_nothing_is_left_behind_in_our_session(server):
    with source(server, "postgres") as looking:
        looking.look(PATIENCE, thorough=True)
        ours = looking._connection
        from dbdoctor.probe import login
        from dbdoctor.probe.deadline import Deadline

        assert ours._session is not None
        for setting, value in (
            ("statement_timeout", b"0"),
            ("lock_timeout", b"0"),
            ("transaction_read_only", b"off"),
            ("search_path", b'"$user", public'),
            ("client_encoding", b"UTF8"),
        ):
            assert login.run_query(ours._session, f"SHOW {setting}", Deadline.after(5)) == (value,)
        assert ours._session.connection.notices == []


def test_on_a_unix_socket_the_client_is_local(server):
    with (
        contextlib.closing(server.connect(host=server.socket_directory)) as opened,
        source(server, host=server.socket_directory) as looking,
    ):
        seen = find(looking.look(PATIENCE), pid_of(opened))
    assert (seen.client, seen.client_port) == ("local", None)
