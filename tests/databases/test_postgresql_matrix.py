"""The same question to PostgreSQL 13 to 18, by an ordinary role, a member of pg_monitor and a superuser."""

import contextlib
import time

import pytest

from dbdoctor.rules import judge_all
from tests.databases.asking import TRUST, look, read, send, session
from tests.rules.facts import target
from tests.servers.binaries import MATRIX
from tests.servers.certificates import certificates
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until

ROLES = ("app", "watcher", "postgres")


@pytest.fixture(scope="module", params=MATRIX)
def server(request):
    with PostgresServer(request.param, hba=TRUST, tls=certificates().server) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        started.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 4 VALID UNTIL '2030-01-01 00:00:00+00'")
        started.execute("ALTER ROLE limited SET idle_in_transaction_session_timeout = '2min'")
        started.execute("ALTER ROLE limited SET tcp_keepalives_idle = 55")
        started.execute("CREATE DATABASE small CONNECTION LIMIT 9")
        yield started


@pytest.mark.parametrize("role", ROLES)
def test_facts(server, role):
    before = time.time()
    facts = look(server, role)
    assert facts.product == "PostgreSQL"
    assert facts.version_number // 10000 == server.major
    assert facts.version.startswith(f"{server.major}.")
    assert facts.uptime is not None
    assert 0 < facts.uptime < 600
    assert facts.is_standby is False
    assert facts.replica_lag is None
    assert facts.tls is not None
    assert facts.tls.startswith("TLSv1.3, TLS_")
    assert facts.pooler is None
    assert (facts.user, facts.database) == (role, "postgres")
    assert facts.server_time is not None
    assert before <= facts.server_time <= time.time()
    assert facts.clock_skew is not None
    assert facts.clock_uncertainty is not None
    assert abs(facts.clock_skew) <= facts.clock_uncertainty
    assert facts.slots is not None
    assert (facts.slots.limit, facts.slots.reserved) == (40, 3)
    assert facts.limits == ()
    assert facts.extra["superuser"] is (role == "postgres")
    assert facts.extra["all_stats"] is (role != "app")
    assert facts.settings["tcp_keepalives_idle"] == 7200.0
    assert facts.settings["idle_in_transaction_session_timeout"] == 0.0
    assert facts.settings["statement_timeout"] == 0.0, "our own SET LOCAL is not the session's setting"
    assert ("idle_session_timeout" in facts.settings) == (server.major >= 14)
    assert ("client_connection_check_interval" in facts.settings) == (server.major >= 14)
    assert ("transaction_timeout" in facts.settings) == (server.major >= 17)


@pytest.mark.parametrize("role", ROLES)
def test_sessions_are_counted_whoever_asks(server, role):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(session(server, "other"))
        stack.enter_context(session(server, "watcher"))
        facts = look(server, role)
    assert facts.slots is not None
    assert facts.slots.used == 5
    assert facts.slots.free == 32
    assert ("other", "dbdoctor", 3) in facts.slots.used_by
    assert sum(sessions for _, _, sessions in facts.slots.used_by) == 5
    assert facts.hidden_sessions == (4 if role == "app" else 0)
    assert bool(facts.missing) == (role == "app")
    states = facts.extra["states"]
    assert sum(states.values()) == 5
    assert states["active"] == 1
    assert states["idle"] == (0 if role == "app" else 4)


def test_nothing_is_left_behind_in_the_session(server):
    with session(server) as connection:
        read(connection, 3.0)
        assert connection.info.transaction_status == 0
        for setting, value in (
            ("statement_timeout", b"0"),
            ("lock_timeout", b"0"),
            ("transaction_read_only", b"off"),
            ("search_path", b'"$user", public'),
        ):
            assert send(connection, f"SHOW {setting}") == value
        assert connection.notices == []


def test_a_server_that_is_stuck_gives_up_in_time(server):
    import psycopg2

    with session(server) as connection:
        read(connection)
        locker = server.connect()
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE pg_catalog.pg_db_role_setting, pg_catalog.pg_database")
        started = time.monotonic()
        with pytest.raises(psycopg2.errors.OperationalError) as stopped:
            read(connection, 0.3)
        seconds = time.monotonic() - started
        locker.close()
        # 57014 statement timeout, 55P03 lock timeout: whichever clock rings first.
        assert stopped.value.pgcode in ("57014", "55P03")
        assert 0.25 <= seconds < 3
        assert read(connection).slots is not None


def test_limits_expiry_and_settings_of_the_role(server):
    with session(server, "limited", dbname="small"), session(server, "app", dbname="small"):
        facts = look(server, "limited", dbname="small")
    limits = {limit.of: (limit.name, limit.limit, limit.used) for limit in facts.limits}
    assert limits == {"role": ("limited", 4, 2), "database": ("small", 9, 3)}
    assert facts.password_expires_at == 1893456000.0
    assert facts.settings["idle_in_transaction_session_timeout"] == 120.0
    assert facts.settings["tcp_keepalives_idle"] == 55.0
    assert look(server, "postgres", dbname="small").limits == ()
    on_socket = look(server, "limited", host=server.socket_directory)
    assert on_socket.tls is None
    assert on_socket.extra["client_address"] is None
    assert on_socket.settings["tcp_keepalives_idle"] == 55.0


def test_the_grant_shows_what_was_hidden(server):
    awkward = 'we"ird Name'
    server.execute('CREATE ROLE "we""ird Name" LOGIN')
    with session(server, "other"):
        facts = look(server, awkward)
        assert facts.user == awkward
        assert [missing.what for missing in facts.missing] == [
            "the state, start and address of 1 session of other roles"
        ]
        grant = facts.missing[0].help
        assert grant == 'GRANT pg_monitor TO "we""ird Name";'
        server.execute(grant)
        # The session that granted ends when the server comes to it.
        wait_until(lambda: look(server, awkward).extra["states"]["idle"] == 1, "the end of the session that granted")
        seen = look(server, awkward)
    server.execute('DROP ROLE "we""ird Name"')
    assert seen.missing == ()
    assert seen.hidden_sessions == 0
    assert seen.extra["states"]["idle"] == 1


@pytest.mark.parametrize("role", ROLES)
def test_no_rule_fails_on_a_real_server(server, role):
    found, skipped = judge_all(look(server, role), target())
    assert skipped == []
    assert {finding.severity.value for finding in found} <= {"info", "warning"}
    assert "idle-in-transaction-unlimited" in {finding.code for finding in found}
