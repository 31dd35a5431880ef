"""What real servers put in the way: other encodings, hostile names, workers, replication, many sessions."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from dbdoctor.rules import judge_all
from tests.databases.asking import TRUST, look, read, send, session, wait
from tests.rules.facts import target
from tests.servers.postgresql import PostgresServer


def eventually(true: Callable[[], bool], what: str, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server():
    settings: dict[str, str | int] = {"max_connections": 350, "wal_level": "logical", "max_wal_senders": 5}
    with PostgresServer(hba=TRUST, settings=settings) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        yield started


def test_three_hundred_sessions_cost_ten_rows(server):
    with contextlib.ExitStack() as stack:
        for number in range(300):
            stack.enter_context(
                contextlib.closing(server.connect(user="other", application_name=f"worker-{number % 30:02}"))
            )
        facts = look(server)
        findings, _ = judge_all(facts, target())
    assert facts.slots is not None
    assert facts.slots.used == 301
    assert len(facts.slots.used_by) == 10
    assert facts.slots.used_by[0] == ("other", "worker-00", 10)
    assert facts.hidden_sessions == 300
    nearly = next(finding for finding in findings if finding.code == "slots-nearly-full")
    assert nearly.severity.value == "warning"
    assert nearly.title.startswith("at most 301 of the 347")


HOSTILE = ("q\"uo'te", "<b>bold</b>&amp;", "back\\slash\\101", "new\nline\x1b[31m", "Zoë-日本", "{}%s%%", "$$;--")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_arrive_as_they_are(server, name):
    quoted = '"' + name.replace('"', '""') + '"'
    server.execute(f"CREATE ROLE {quoted.replace('%', '%')} LOGIN")
    server.execute(f"CREATE DATABASE {quoted}")
    try:
        with session(server, "app") as ours, contextlib.closing(server.connect(user=name, application_name=name)):
            seen = read(ours)
            own = look(server, name, dbname=name)
    finally:
        server.execute(f"DROP DATABASE {quoted}")
        server.execute(f"DROP ROLE {quoted}")
    assert (own.user, own.database) == (name, name)
    assert seen.slots is not None
    assert name in {user for user, _, _ in seen.slots.used_by}


@pytest.mark.parametrize(("encoding", "raw"), [("SQL_ASCII", b"b\xe4r\xff"), ("LATIN1", "bär".encode("latin-1"))])
@pytest.mark.parametrize("client_encoding", [None, "LATIN1"])
def test_other_encodings_never_fail(server, encoding, raw, client_encoding):
    server.execute(f"CREATE DATABASE odd ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    parameters = {"client_encoding": client_encoding} if client_encoding else {}
    try:
        with contextlib.closing(server.connect(dbname="odd", client_encoding="SQL_ASCII")) as maker:
            maker.cursor().execute(b'CREATE ROLE "' + raw + b'" LOGIN')
        # Made in one encoding, seen from databases in two others and from its own.
        user = raw.decode("latin-1")
        with contextlib.closing(_raw_session(server, raw)):
            for database in ("odd", "postgres"):
                facts = look(server, "app", dbname=database, **parameters)
                assert facts.slots is not None
                users = {name for name, _, _ in facts.slots.used_by}
                assert any((name.startswith("b") and name.endswith(user[-1:])) or "\ufffd" in name for name in users)
            if encoding == "LATIN1":
                facts = look(server, "app", dbname="odd", **parameters)
                assert facts.slots is not None
                assert "bär" in {name for name, _, _ in facts.slots.used_by}
    finally:
        with contextlib.closing(server.connect(dbname="odd", client_encoding="SQL_ASCII")) as maker:
            maker.cursor().execute(b'DROP ROLE IF EXISTS "' + raw + b'"')
        server.execute("DROP DATABASE odd WITH (FORCE)")


def _raw_session(server: PostgresServer, raw: bytes) -> socket.socket:
    """A session of the superuser that acts as a role whose name is no text in any encoding: libpq cannot log it in."""
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    body = struct.pack("!i", 196608) + b"user\0" + raw + b"\0database\0postgres\0client_encoding\0SQL_ASCII\0\0"
    opened.sendall(struct.pack("!i", len(body) + 4) + body)
    answer = b""
    while not answer.endswith(b"Z\0\0\0\5I"):
        piece = opened.recv(4096)
        assert piece, answer
        answer += piece
    return opened


def test_a_hostile_search_path_changes_nothing(server):
    server.execute("CREATE SCHEMA trap AUTHORIZATION app")
    server.execute("CREATE FUNCTION trap.version() RETURNS text LANGUAGE sql AS $$ SELECT 'MySQL'::text $$")
    server.execute("CREATE VIEW trap.pg_settings AS SELECT 'max_connections' AS name, '1' AS setting")
    server.execute("ALTER ROLE app SET search_path = trap, pg_catalog")
    try:
        facts = look(server)
    finally:
        server.execute("ALTER ROLE app RESET search_path")
        server.execute("DROP SCHEMA trap CASCADE")
    assert facts.product == "PostgreSQL"
    assert facts.slots is not None
    assert facts.slots.limit == 350


def test_a_superusers_session_that_acts_as_an_ordinary_role(server):
    server.execute("CREATE ROLE acting LOGIN SUPERUSER")
    server.execute("GRANT app TO acting")
    server.execute("ALTER ROLE acting SET role = app")
    try:
        with session(server, "other"):
            facts = look(server, "acting")
    finally:
        server.execute("DROP ROLE acting")
    assert facts.user == "acting"
    assert [missing.help for missing in facts.missing] == ['GRANT pg_monitor TO "app";']


def test_parallel_workers_are_told_from_sessions_or_admitted(server):
    with (
        session(server, "other", options="-c debug_parallel_query=on") as busy,
        session(server, "watcher") as watching,
    ):
        cursor = busy.cursor()
        cursor.execute("SELECT pg_sleep(60)")
        busy.poll()
        workers = "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
        eventually(lambda: send(watching, workers) == b"1", "a parallel worker")
        exact, at_most = read(watching), look(server)
        server.execute(f"SELECT pg_terminate_backend({busy.info.backend_pid})")
        with pytest.raises(Exception, match=r"terminat|closed"):
            wait(busy)
    assert exact.slots is not None
    assert at_most.slots is not None
    assert exact.slots.used == 2
    assert exact.extra["slots_overcounted_at_most"] == 0
    # Seen by an ordinary role: the two, the worker that cannot be told from a session, and itself.
    assert at_most.slots.used - at_most.extra["slots_overcounted_at_most"] <= 3 <= at_most.slots.used
    assert "workers" in at_most.extra["slots_counted_by"]


@pytest.mark.parametrize("role", ["app", "watcher"])
def test_replication_takes_no_slot(server, role):
    server.execute("SELECT pg_create_logical_replication_slot('tests', 'test_decoding')")
    try:
        conninfo = server.conninfo(user="postgres")
        sender = psycopg2.connect(conninfo, connection_factory=LogicalReplicationConnection)
        with contextlib.closing(sender), contextlib.closing(sender.cursor()) as cursor:
            cursor.start_replication(slot_name="tests", decode=True)
            assert server.execute("SELECT count(*) FROM pg_stat_replication") == [(1,)]
            facts = look(server, role)
    finally:
        eventually(
            lambda: server.execute("SELECT count(*) FROM pg_replication_slots WHERE active") == [(0,)], "the slot"
        )
        server.execute("SELECT pg_drop_replication_slot('tests')")
    assert facts.slots is not None
    assert facts.slots.used == 1
    assert facts.slots.used_by == ((role, "dbdoctor", 1),)


def test_a_subscriptions_worker_takes_no_slot(server):
    create = f"CREATE SUBSCRIPTION mine CONNECTION 'host=127.0.0.1 port={server.port} user=postgres dbname=postgres'"
    server.execute("SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")
    server.execute("CREATE PUBLICATION ours")
    server.execute("CREATE DATABASE subscriber")
    server.execute(f"{create} PUBLICATION ours WITH (create_slot = false)", dbname="subscriber")
    try:
        workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'logical replication apply worker'"
        eventually(lambda: server.execute(workers) == [(1,)], "the apply worker")
        eventually(lambda: server.execute("SELECT count(*) FROM pg_stat_replication") == [(1,)], "its walsender")
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        seen = {}
        for role in ("app", "watcher"):
            # The sessions that asked before are gone only when their processes have ended.
            eventually(lambda: server.execute(others) == [(0,)], "the end of other sessions")
            seen[role] = look(server, role)
    finally:
        server.execute("DROP SUBSCRIPTION mine", dbname="subscriber")
        server.execute("DROP PUBLICATION ours")
        server.execute("DROP DATABASE subscriber WITH (FORCE)")
    for role, facts in seen.items():
        assert facts.slots is not None
        # Ours, and at most the one that asked whether others had ended; the two workers would make it more.
        assert facts.slots.used in (1, 2), role


def test_without_tls(server):
    facts = look(server)
    assert facts.tls is None
    assert facts.extra["server_offers_tls"] is False


def test_reserved_connections_are_reserved(server):
    with PostgresServer(hba=TRUST, settings={"reserved_connections": 7}) as other:
        other.execute("CREATE ROLE app LOGIN")
        facts = look(other)
    assert facts.slots is not None
    assert (facts.slots.limit, facts.slots.reserved, facts.slots.free) == (40, 10, 29)


@pytest.fixture(scope="module", params=["13", "15", "18"])
def primary_and_standby(request):
    # The standby begins with the same empty template, so the primary must not have recycled any of its log.
    with PostgresServer(request.param, hba=TRUST, settings={"max_connections": 100}) as primary:
        primary.execute("CREATE ROLE app LOGIN")
        primary.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        conninfo = f"host=127.0.0.1 port={primary.port} user=postgres"
        settings: dict[str, str | int] = {"max_connections": 100, "primary_conninfo": conninfo}
        with PostgresServer(request.param, hba=TRUST, settings=settings, standby=True) as standby:
            yield primary, standby


@pytest.mark.parametrize("role", ["app", "watcher"])
def test_a_standby_says_how_far_it_is(primary_and_standby, role):
    server, standby = primary_and_standby
    lsn = server.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
    caught_up = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= %s"
    eventually(lambda: server.execute(caught_up, (lsn,)) == [(1,)], "the standby to catch up")
    eventually(lambda: look(standby, role).replica_lag == 0.0, "the standby to be even")
    even = look(standby, role)
    assert even.is_standby is True
    assert even.extra["replica"]["receiving"] is True
    assert bool(even.missing) == (role == "app")

    standby.execute("SELECT pg_wal_replay_pause()")
    server.execute("CREATE TABLE progress AS SELECT 1 AS a")
    server.execute("DROP TABLE progress")
    lsn = server.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
    received = "SELECT count(*) FROM pg_stat_replication WHERE write_lsn >= %s"
    eventually(lambda: server.execute(received, (lsn,)) == [(1,)], "the standby to receive")
    behind = look(standby, role)
    assert behind.replica_lag is not None
    assert behind.replica_lag > 0.0
    standby.execute("SELECT pg_wal_replay_resume()")


def test_a_standby_that_hears_nothing():
    with PostgresServer(hba=TRUST, settings={"max_connections": 100}, standby=True) as standby:
        facts = look(standby, "postgres")
        found, skipped = judge_all(facts, target())
    assert facts.is_standby is True
    assert facts.replica_lag is None
    assert "replica-not-streaming" in {finding.code for finding in found}
    assert skipped == []
