"""Ending sessions on real servers: the right one, nobody else, and what is said of those that stay."""

import contextlib
import os
import signal
import time
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from dbdoctor.watch.source import SourceLostError
from tests.databases.asking import TRUST
from tests.servers.postgresql import PostgresServer
from tests.watch.looking import PATIENCE, find, pid_of, session, source, wait_for_rows, wait_until_alone


@pytest.fixture(scope="module", params=["13", "18"])
def running(request):
    with PostgresServer(request.param, hba=TRUST, settings={"wal_level": "logical"}) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE ender LOGIN IN ROLE pg_monitor, pg_signal_backend")
        yield started


@pytest.fixture
def server(running):
    wait_until_alone(running)
    return running


def is_alive(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchall() == [(1,)])


def test_the_sessions_named_end_and_no_other(server):
    with (
        session(server, "BEGIN", "SELECT 1") as first,
        session(server) as second,
        session(server) as spared,
        source(server, "ender") as looking,
    ):
        seen = looking.look(PATIENCE)
        identities = [find(seen, pid_of(one)).identity for one in (first, second)]
        assert looking.terminate([*identities, identities[0]], PATIENCE) == [
            (identities[0], "ended", ""),
            (identities[1], "ended", ""),
        ]
        after = {one.id for one in looking.look(PATIENCE).sessions}
        assert pid_of(first) not in after
        assert is_alive(spared)
        assert looking.terminate(identities, PATIENCE)[0].outcome == "not-found"


@pytest.mark.parametrize("off", [-1.0, 0.00001, -0.000002, 86400.0])
def test_another_start_time_is_another_session(server, off):
    with session(server) as opened, source(server, "ender") as looking:
        pid, started = find(looking.look(PATIENCE), pid_of(opened)).identity
        assert started is not None
        (told,) = looking.terminate([(pid, started + off)], PATIENCE)
        assert (told.outcome, told.detail) == ("not-found", "another session has this id now")
        assert is_alive(opened)


def test_a_start_time_that_went_through_a_file_is_the_same(server):
    with session(server) as opened, source(server, "ender") as looking:
        pid, started = find(looking.look(PATIENCE), pid_of(opened)).identity
        assert started is not None
        (told,) = looking.terminate([(pid, float(f"{started:.6f}"))], PATIENCE)
        assert told.outcome == "ended"


def test_superusers_replication_and_workers_are_spared(server):
    server.execute("SELECT pg_create_logical_replication_slot('tests', 'test_decoding')")
    try:
        sender = psycopg2.connect(server.conninfo(user="postgres"), connection_factory=LogicalReplicationConnection)
        with (
            contextlib.closing(sender),
            contextlib.closing(sender.cursor()) as cursor,
            session(server, user="postgres") as superuser,
            source(server, "postgres") as looking,
        ):
            cursor.start_replication(slot_name="tests", decode=True)
            seen = looking.look(PATIENCE)
            worker = "SELECT pid, date_part('epoch', backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
            identities = [
                find(seen, pid_of(sender)).identity,
                find(seen, pid_of(superuser)).identity,
                tuple(server.execute(worker)[0]),
            ]
            told = looking.terminate(identities, PATIENCE)
            assert [one.outcome for one in told] == ["spared", "spared", "spared"]
            assert [one.detail for one in told] == ["replication", "a superuser's session", "checkpointer"]
            assert is_alive(superuser)
            wait_for_rows(server, "SELECT 1 FROM pg_stat_replication", "the walsender")
    finally:
        wait_for_rows(server, "SELECT 1 FROM pg_replication_slots WHERE active", "the slot", 0)
        server.execute("SELECT pg_drop_replication_slot('tests')")


def test_one_that_may_not_be_ended_does_not_stop_the_others(server):
    server.execute("CREATE ROLE seeing LOGIN IN ROLE pg_monitor")
    try:
        with (
            session(server) as foreign,
            session(server, user="seeing") as own,
            source(server, "seeing") as looking,
        ):
            seen = looking.look(PATIENCE)
            identities = [find(seen, pid_of(one)).identity for one in (foreign, own)]
            refused, ended = looking.terminate(identities, PATIENCE)
            assert ended.outcome == "ended"
            assert refused.outcome == "not-allowed"
            assert 'GRANT pg_signal_backend TO "seeing";' in refused.detail
            assert "\n" not in refused.detail
            assert is_alive(foreign)
    finally:
        wait_until_alone(server)
        server.execute("DROP ROLE seeing")


def test_a_hidden_session_cannot_be_identified(server):
    with session(server) as hidden, source(server, "app") as looking:
        seen = find(looking.look(PATIENCE), pid_of(hidden))
        told = looking.terminate([seen.identity, (seen.id, 1.0)], PATIENCE)
        assert [one.outcome for one in told] == ["not-allowed", "not-allowed"]
        assert is_alive(hidden)


def test_our_own_session_is_never_ended(server):
    with source(server, "ender") as looking:
        pid = looking._connection._session.backend_pid  # type: ignore[union-attr]
        ((started,),) = server.execute(
            "SELECT date_part('epoch', backend_start) FROM pg_stat_activity WHERE pid = %s", (pid,)
        )
        (told,) = looking.terminate([(pid, started)], PATIENCE)
        assert told.outcome == "not-found"
        looking.look(PATIENCE)


def test_one_that_does_not_end_in_time_is_said_to_be_there(server):
    with session(server) as stuck, source(server, "ender") as looking:
        identity = find(looking.look(PATIENCE), pid_of(stuck)).identity
        os.kill(identity[0], signal.SIGSTOP)
        try:
            started = time.monotonic()
            (told,) = looking.terminate([identity], 0.5)
            assert time.monotonic() - started < 0.7
        finally:
            os.kill(identity[0], signal.SIGCONT)
    assert (told.outcome, told.detail) == ("still-there", "told to end, but it has not yet")


def test_a_lost_server_ends_nothing(start_postgres):
    server = start_postgres(hba=TRUST)
    with source(server, "postgres") as looking:
        server.stop()
        with pytest.raises(SourceLostError):
            looking.terminate([(4711, 1.0)], PATIENCE)
