"""What real servers put in the way of a look: encodings, rights, other kinds of session, silence, restarts, poolers."""

import contextlib
import os
import signal
import time

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from dbdoctor.errors import CannotLookError
from dbdoctor.model.session import REPLICATION
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Wanted
from tests.databases.asking import TRUST
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.wire import ClientGoneError, Conversation
from tests.servers.wire_postgres import error, logged_in, message, read_startup
from tests.watch.looking import (
    PATIENCE,
    RawSession,
    find,
    pid_of,
    session,
    source,
    source_of,
    wait_for_rows,
    wait_until_alone,
)


@pytest.fixture(scope="module")
def running():
    settings: dict[str, str | int] = {
        "max_connections": 350,
        "wal_level": "logical",
        "track_activity_query_size": 1048576,
        "shared_buffers": "32MB",
    }
    with PostgresServer(hba=TRUST, settings=settings) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        yield started


@pytest.fixture
def server(running):
    wait_until_alone(running)
    return running


# Texts


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP", "UTF8"])
@pytest.mark.parametrize("client_encoding", [None, "LATIN1", "UTF8"])
def test_statements_in_any_encoding_are_read(server, encoding, client_encoding):
    if (encoding, client_encoding) == ("EUC_JP", "LATIN1"):
        return  # the server has no conversion between the two, and lets no such client in
    server.execute("DROP DATABASE IF EXISTS odd WITH (FORCE)")
    server.execute(f"CREATE DATABASE odd ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    text = {"SQL_ASCII": b"b\xe4r\xff \xc3", "LATIN1": "bär".encode("latin-1"), "EUC_JP": "日本".encode("euc_jp")}
    raw = text.get(encoding, "日本 bär".encode())
    parameters = {"client_encoding": client_encoding} if client_encoding else {}
    with RawSession(server, dbname="odd", application_name="b\xe4r\x1b[31m[/red]") as strange:
        strange.run(b"SELECT '" + raw + b"'")
        for database in ("odd", "postgres"):
            with source(server, dbname=database, **parameters) as looking:
                seen = looking.look(PATIENCE, thorough=True)
                told = looking.explain(seen, Wanted((strange.pid,), blocking=True), PATIENCE)
            statement = told.details[strange.pid].statement
            assert statement is not None
            assert statement.startswith("SELECT '")
            assert statement.endswith("'")
            if encoding != "SQL_ASCII":
                assert (
                    statement
                    == f"SELECT '{raw.decode({'EUC_JP': 'euc_jp', 'LATIN1': 'latin-1'}.get(encoding, 'utf-8'))}'"
                )
            assert find(seen, strange.pid).database == "odd"
            assert "b" in (find(seen, strange.pid).application or "")
    server.execute("DROP DATABASE odd WITH (FORCE)")


def test_names_in_no_encoding_are_read(server):
    server.execute("DROP DATABASE IF EXISTS odd WITH (FORCE)")
    server.execute("CREATE DATABASE odd ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with contextlib.closing(server.connect(dbname="odd", client_encoding="SQL_ASCII")) as maker:
        maker.cursor().execute(b'CREATE ROLE "b\xe4r" LOGIN; CREATE TABLE "t\xff" (a int)')
        maker.cursor().execute(b'GRANT ALL ON "t\xff" TO PUBLIC')
    try:
        with RawSession(server, dbname="odd") as locking, source(server, dbname="odd") as looking:
            locking.run(b"BEGIN")
            locking.run(b'SELECT * FROM "t\xff"')
            told = looking.explain(looking.look(PATIENCE), Wanted((locking.pid,)), PATIENCE)
            assert told.details[locking.pid].locked == "public.t\ufffd"
    finally:
        with contextlib.closing(server.connect(dbname="odd", client_encoding="SQL_ASCII")) as maker:
            maker.cursor().execute(b'DROP TABLE "t\xff"; DROP ROLE "b\xe4r"')
        server.execute("DROP DATABASE odd WITH (FORCE)")


HOSTILE = "SELECT 1 -- \x1b[31m[/red]\n\t\u202e\r\x07 ]0;x"


def test_a_statement_of_a_megabyte_costs_a_thousand_letters(server):
    many = 40
    with contextlib.ExitStack() as stack, source(server) as looking:
        huge = [stack.enter_context(RawSession(server)) for _ in range(many)]
        for one in huge:
            one.run(b"SELECT length('" + "日".encode() * 349_000 + b"')")
        started = time.monotonic()
        seen = looking.look(PATIENCE)
        told = looking.explain(seen, Wanted(tuple(one.pid for one in huge)), PATIENCE)
        assert time.monotonic() - started < PATIENCE
    assert len(told.details) == many
    for detail in told.details.values():
        assert detail.statement == "SELECT length('" + "日" * 984 + "…"


def test_control_characters_do_not_come_through(server):
    with RawSession(server) as hostile, source(server) as looking:
        hostile.run(HOSTILE.encode())
        told = looking.explain(looking.look(PATIENCE), Wanted((hostile.pid,)), PATIENCE)
    assert told.details[hostile.pid].statement == "SELECT 1 -- \\u001b[31m[/red] \\u202e \\u0007 ]0;x"


def test_a_secret_in_a_statement_is_masked(server):
    from dbdoctor.model.secret import remember

    remember("tops3cret")
    with session(server, "SELECT 'tops3cret'") as opened, source(server) as looking:
        told = looking.explain(looking.look(PATIENCE), Wanted((pid_of(opened),)), PATIENCE)
        assert told.details[pid_of(opened)].statement == "SELECT '***'"


# What is a session, and what of it is known


def test_microseconds_survive_a_role_that_wants_few_digits(server):
    server.execute("ALTER ROLE watcher SET extra_float_digits = -15")
    try:
        with session(server) as opened, source(server) as looking:
            seen = find(looking.look(PATIENCE), pid_of(opened))
            exact = "SELECT date_part('epoch', backend_start) FROM pg_stat_activity WHERE pid = %s"
            assert server.execute(exact, (pid_of(opened),)) == [(seen.started_at,)]
    finally:
        server.execute("ALTER ROLE watcher RESET extra_float_digits")


def test_a_hostile_search_path_changes_nothing(server):
    server.execute("CREATE SCHEMA trap AUTHORIZATION watcher")
    server.execute("CREATE VIEW trap.pg_roles AS SELECT 1 AS oid, 'liar' AS rolname")
    server.execute("ALTER ROLE watcher SET search_path = trap, pg_catalog")
    try:
        with session(server) as opened, source(server) as looking:
            assert find(looking.look(PATIENCE), pid_of(opened)).user == "other"
    finally:
        server.execute("ALTER ROLE watcher RESET search_path")
        server.execute("DROP SCHEMA trap CASCADE")


def test_sessions_that_do_not_tell_their_state(server):
    server.execute("ALTER ROLE other SET track_activities = off")
    try:
        with session(server, "SELECT 1") as silent, source(server) as looking:
            seen = looking.look(PATIENCE)
            told = looking.explain(seen, Wanted((pid_of(silent),)), PATIENCE)
            assert (find(seen, pid_of(silent)).state, find(seen, pid_of(silent)).hidden) == (None, False)
            assert [one[:2] for one in seen.missing] == [("the state of 1 session", "track_activities is off for them")]
            assert told.details[pid_of(silent)].statement is None
    finally:
        server.execute("ALTER ROLE other RESET track_activities")


@pytest.mark.parametrize("role", ["app", "watcher"])
def test_replication_is_no_session_of_a_client(server, role):
    server.execute("SELECT pg_create_logical_replication_slot('tests', 'test_decoding')")
    try:
        sender = psycopg2.connect(server.conninfo(user="postgres"), connection_factory=LogicalReplicationConnection)
        with contextlib.closing(sender), contextlib.closing(sender.cursor()) as cursor, source(server, role) as looking:
            cursor.start_replication(slot_name="tests", decode=True)
            wait_for_rows(server, "SELECT 1 FROM pg_stat_replication", "the walsender")
            seen = looking.look(PATIENCE, thorough=True)
            assert find(seen, pid_of(sender)).kind == REPLICATION
            assert seen.slots is not None
            assert seen.slots.used == 1 + sum(one.kind != REPLICATION for one in seen.sessions)
            assert [slot.active for slot in seen.replication_slots or ()] == [True]
    finally:
        wait_for_rows(server, "SELECT 1 FROM pg_replication_slots WHERE active", "the slot", 0)
        server.execute("SELECT pg_drop_replication_slot('tests')")


@pytest.mark.parametrize("role", ["app", "watcher"])
def test_workers_of_a_subscription_are_no_sessions(server, role):
    create = f"CREATE SUBSCRIPTION mine CONNECTION 'host=127.0.0.1 port={server.port} user=postgres dbname=postgres'"
    server.execute("SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")
    server.execute("CREATE PUBLICATION ours")
    server.execute("CREATE DATABASE subscriber")
    server.execute(f"{create} PUBLICATION ours WITH (create_slot = false)", dbname="subscriber")
    try:
        worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'logical replication apply worker'"
        wait_for_rows(server, worker, "the apply worker")
        wait_for_rows(server, "SELECT 1 FROM pg_stat_replication", "its walsender")
        (pid,) = server.execute(worker)[0]
        (sender,) = server.execute("SELECT pid FROM pg_stat_replication")[0]
        with source(server, role) as looking:
            seen = looking.look(PATIENCE)
        assert pid not in {one.id for one in seen.sessions}
        assert find(seen, sender).kind == REPLICATION
    finally:
        server.execute("DROP SUBSCRIPTION mine", dbname="subscriber")
        server.execute("DROP PUBLICATION ours")
        server.execute("DROP DATABASE subscriber WITH (FORCE)")


def test_parallel_workers_are_no_sessions(server):
    workers = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
    with RawSession(server, options="-c debug_parallel_query=on") as busy, source(server) as looking:
        busy.send(b"SELECT pg_sleep(60)")
        wait_for_rows(server, workers, "a parallel worker")
        assert [one.id for one in looking.look(PATIENCE).sessions if one.user == "other"] == [busy.pid]


# Rights


def test_what_is_refused_is_named_and_asked_once(server):
    refused = ("pg_lock_status()", "pg_prepared_xact()", "pg_get_replication_slots()")
    for function in refused:
        server.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    try:
        with session(server, "BEGIN", "SELECT 1") as opened, source(server, "app") as looking:
            before = server.log.count("permission denied for function")
            for _ in range(3):
                seen = looking.look(PATIENCE, thorough=True)
                told = looking.explain(seen, Wanted((pid_of(opened),), blocking=True), PATIENCE)
            assert find(seen, pid_of(opened)).transaction_key is None
            assert (seen.prepared, seen.replication_slots) == (None, None)
            assert seen.ended is not None
            assert told.details == {}
            reasons = {one.what: one.reason for one in told.missing}
            assert reasons["prepared transactions"].endswith("permission denied for function pg_prepared_xact")
            assert "who waits for whom" in reasons
            # The three parts in one question, the two of them that are refused alone, and one for each of three questions.
            assert server.log.count("permission denied for function") == before + 6
    finally:
        for function in refused:
            server.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")


def test_a_server_that_shows_no_sessions_at_all(server):
    server.execute("REVOKE EXECUTE ON FUNCTION pg_stat_get_activity(int) FROM PUBLIC")
    try:
        with pytest.raises(CannotLookError) as refused, source(server, "app") as looking:
            looking.look(PATIENCE)
    finally:
        server.execute("GRANT EXECUTE ON FUNCTION pg_stat_get_activity(int) TO PUBLIC")
    assert "does not show its sessions" in refused.value.what
    assert refused.value.cause == "permission denied for function pg_stat_get_activity"


def test_a_relative_without_the_function_is_named(wire):
    def redshift(talk: Conversation) -> None:
        read_startup(talk)
        talk.send(logged_in({"client_encoding": "UTF8", "server_version": "8.0.2"}))
        with contextlib.suppress(ClientGoneError):
            while True:
                asked = talk.read_some()
                if asked[:1] == b"X":
                    return
                if b"SELECT version()" in asked and b"pg_stat" not in asked:
                    text = b"PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.77"
                    column = b"\0\1version\0" + b"\0" * 6 + b"\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                    row = b"\0\1" + len(text).to_bytes(4, "big") + text
                    talk.send(message(b"T", column) + message(b"D", row) + message(b"C", b"SELECT 1\0"))
                else:
                    talk.send(error({"S": "ERROR", "V": "ERROR", "C": "42883", "M": "function does not exist"}))
                talk.send(message(b"Z", b"I"))

    fake = wire(redshift)
    with (
        pytest.raises(CannotLookError) as refused,
        source_of(f"postgresql://app@127.0.0.1:{fake.port}/dev?sslmode=disable"),
    ):
        pass
    assert refused.value.what == "Amazon Redshift 1.0.77 does not show its sessions as PostgreSQL 13 to 18 do"
    assert refused.value.cause == "function does not exist"


# Silence, loss, return


def test_a_paused_server_is_slow_then_lost_then_back(start_postgres):
    server = start_postgres(hba=TRUST)
    with source(server, "postgres") as looking:
        looking.look(PATIENCE)
        server.pause()
        try:
            started = time.monotonic()
            with pytest.raises(SourceSlowError, match="no answer within 500 ms"):
                looking.look(0.5)
            assert time.monotonic() - started < 1.5
            with pytest.raises(SourceLostError, match="the connection was closed"):
                looking.look(0.5)
            with pytest.raises(SourceLostError, match="500 ms"):
                looking.open(0.5)
        finally:
            server.resume()
        looking.open(PATIENCE)
        assert looking.look(PATIENCE).slots is not None


def test_a_question_that_takes_too_long_leaves_the_connection_good(server):
    with source(server) as looking, contextlib.closing(server.connect()) as locker:
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE pg_catalog.pg_database")
        started = time.monotonic()
        with pytest.raises(SourceSlowError, match=r"canceling statement due to (lock|statement) timeout"):
            looking.look(0.5)
        assert time.monotonic() - started < 0.5
        locker.rollback()
        seen = looking.look(PATIENCE)
        assert find(seen, pid_of(locker)).database == "postgres"


def test_what_stands_beside_sessions_may_be_late(server):
    with source(server) as looking, contextlib.closing(server.connect()) as locker:
        looking.look(PATIENCE)
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE pg_catalog.pg_authid")
        seen = looking.look(0.5, thorough=True)
        assert find(seen, pid_of(locker)).user == "postgres"
        assert (seen.prepared, seen.replication_slots) == (None, None)
        assert [one.what for one in seen.missing] == ["prepared transactions, replication slots and counters"]
        locker.rollback()
        seen = looking.look(PATIENCE, thorough=True)
        assert (seen.prepared, seen.missing) == ((), ())


def test_a_restart_is_a_loss_and_then_a_new_connection(start_postgres):
    server = start_postgres(hba=TRUST)
    with source(server, "postgres") as looking:
        looking.look(PATIENCE)
        server.stop()
        with pytest.raises(SourceLostError, match="terminating connection due to administrator command"):
            looking.look(PATIENCE)
        with pytest.raises(SourceLostError, match=r"refused"):
            looking.open(PATIENCE)
        with pytest.raises(SourceLostError):
            looking.look(PATIENCE)
        server.start()
        facts = looking.open(PATIENCE)
        assert facts.uptime is not None
        assert looking.look(PATIENCE).slots is not None


def test_a_crash_is_a_loss(start_postgres):
    server = start_postgres(hba=TRUST)
    with source(server, "postgres") as looking:
        os.kill(looking._connection._session.backend_pid, signal.SIGKILL)  # type: ignore[union-attr]
        with pytest.raises(SourceLostError) as lost:
            looking.look(PATIENCE)
        assert "\n" not in str(lost.value)
        assert str(lost.value)
        wait_until(lambda: "all server processes terminated" in server.log, "the server's recovery")

        def is_back() -> bool:
            with contextlib.suppress(SourceLostError):
                looking.open(PATIENCE)
                return True
            return False

        wait_until(is_back, "the server")


def test_a_changed_password_is_named_and_not_told(start_postgres):
    server = start_postgres()
    server.execute("CREATE ROLE app LOGIN PASSWORD 'old-s3cret'")
    with source_of(server.dsn(user="app", password="old-s3cret")) as looking:
        server.execute("ALTER ROLE app PASSWORD 'new'")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
        with pytest.raises(SourceLostError, match="terminating connection due to administrator command"):
            looking.look(PATIENCE)
        with pytest.raises(SourceLostError) as lost:
            looking.open(PATIENCE)
    assert str(lost.value) == f"127.0.0.1:{server.port} did not accept the password of app"


def test_a_full_server_is_named(start_postgres):
    server = start_postgres(hba=TRUST, settings={"max_connections": 5, "superuser_reserved_connections": 0})
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(contextlib.closing(server.connect()))
        with pytest.raises(SourceLostError, match=r"too many|no free|full|slots"), source(server, "postgres"):
            pass


def test_a_source_that_was_never_opened_is_lost(server):
    unopened = PostgresqlSource(parse_dsn(server.dsn(user="watcher"), environment={}))
    for call in (lambda: unopened.look(1), lambda: unopened.terminate([(1, 1.0)], 1)):
        with pytest.raises(SourceLostError, match="not connected"):
            call()
    unopened.close()


def test_the_second_host_serves_when_the_first_is_gone(server):
    from tests.servers.workspace import free_port

    dsn = f"postgresql://watcher@127.0.0.1:{free_port()},127.0.0.1:{server.port}/postgres"
    with source_of(dsn) as looking:
        assert looking.look(PATIENCE).slots is not None


def test_over_tls(postgres_tls):
    with source(postgres_tls, "postgres", sslmode="require") as looking:
        assert looking.look(PATIENCE).slots is not None


@pytest.mark.parametrize("version", ["13", "18"])
def test_through_a_pooler_in_transaction_mode(start_postgres, start_pgbouncer, version):
    server = start_postgres(version, hba=TRUST)
    pooler = start_pgbouncer(server.port)
    with source_of(pooler.dsn()) as looking, session(server, "BEGIN", "SELECT 1", user="postgres") as opened:
        for _ in range(3):
            seen = looking.look(PATIENCE, thorough=True)
            # Other clients get our server session in between.
            assert pooler.execute("SHOW statement_timeout") == [("0",)]
            assert pooler.execute("SHOW client_encoding") == [("UTF8",)]
            assert pooler.execute("SHOW transaction_read_only") == [("off",)]
        told = looking.explain(seen, Wanted((pid_of(opened),), blocking=True), PATIENCE)
        assert told.details[pid_of(opened)].statement == "SELECT 1"
    assert looking._facts is not None
    assert looking._facts.pooler is not None


def test_a_standby_is_looked_at(start_postgres):
    server = start_postgres(hba=TRUST, standby=True, until="ready")
    with source(server, "postgres") as looking:
        seen = looking.look(PATIENCE, thorough=True)
        assert looking.explain(seen, Wanted((1,), blocking=True), PATIENCE).details == {}
    assert (seen.missing, seen.prepared, seen.replication_slots) == ((), (), ())


def test_hundreds_of_sessions_are_read_once(server):
    with contextlib.ExitStack() as stack, source(server) as looking:
        for number in range(300):
            stack.enter_context(RawSession(server, application_name=f"worker-{number}"))
        first, second = looking.look(PATIENCE), looking.look(PATIENCE)
        assert first.slots is not None
        assert first.slots.used >= 301
        kept = {one.id: one for one in first.sessions}
        assert sum(one is kept.get(one.id) for one in second.sessions) >= 300
        told = looking.explain(second, Wanted(tuple(kept)), PATIENCE)
        assert len(told.details) == 200
