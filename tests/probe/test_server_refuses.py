"""Every way in which a real PostgreSQL refuses a login, in English, in German, and over TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.probe.conftest import Named
from tests.servers.binaries import german_locale
from tests.servers.certificates import certificates
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until

HBA = (
    "local all all trust",
    "hostssl all tls_only all scram-sha-256",
    "hostssl all with_certificate all trust clientcert=verify-ca",
    "host all rejected all reject",
    "host all nobody_knows 127.0.0.1/32 trust",
    "host all group_role 127.0.0.1/32 trust",
    "host all postgres,app,limited,poor,old all scram-sha-256",
    "host replication postgres all scram-sha-256",
)
SETUP = """
CREATE ROLE app LOGIN PASSWORD 'app-secret-1';
CREATE ROLE tls_only LOGIN PASSWORD 'app-secret-1';
CREATE ROLE with_certificate LOGIN;
CREATE ROLE group_role NOLOGIN;
CREATE ROLE limited LOGIN PASSWORD 'app-secret-1' CONNECTION LIMIT 1;
CREATE ROLE poor LOGIN PASSWORD 'app-secret-1';
CREATE ROLE old LOGIN PASSWORD 'app-secret-1' VALID UNTIL '2020-01-01';
"""


def _server(language: str) -> PostgresServer:
    german = language == "german"
    environment = {"LOCPATH": str(german_locale())} if german else {}
    settings = {"lc_messages": "de_DE.UTF-8"} if german else {}
    return PostgresServer("debian15", tls=certificates().server, hba=HBA, settings=settings, environment=environment)


@pytest.fixture(scope="module", params=["english", "german"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with _server(request.param) as server:
        for statement in SETUP.strip().splitlines():
            server.execute(statement)
        for name in ("closed", "small", "locked"):
            server.execute(f"CREATE DATABASE {name}")
        server.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        server.execute("ALTER DATABASE small CONNECTION LIMIT 1")
        server.execute("ALTER DATABASE locked ALLOW_CONNECTIONS false")
        yield server


@pytest.fixture(params=["disable", "require"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def app(
    server: PostgresServer,
    mode: str,
    user: str = "app",
    password: str | None = "app-secret-1",
    dbname: str = "postgres",
) -> str:
    return server.dsn(user=user, password=password, dbname=dbname, sslmode=mode)


def test_wrong_password(server: PostgresServer, mode: str, named: Named) -> None:
    named("wrong-password", app(server, mode, password="not-it-7"), what="wrong password")


def test_password_expired(server: PostgresServer, mode: str, named: Named) -> None:
    answer = named("wrong-password", app(server, mode, user="old"), what="password expired (PostgreSQL does not tell)")
    assert "VALID UNTIL" in answer.finding("wrong-password")["why"]


def test_password_missing(server: PostgresServer, mode: str, named: Named) -> None:
    named("password-missing", app(server, mode, password=None), what="no password given")


def test_no_such_role_without_password(server: PostgresServer, named: Named) -> None:
    named("role-not-found", app(server, "disable", user="nobody_knows", password=None), what="no such role")


def test_role_may_not_log_in(server: PostgresServer, named: Named) -> None:
    named("role-may-not-log-in", app(server, "disable", user="group_role", password=None), what="role may not log in")


def test_no_hba_entry(server: PostgresServer, mode: str, named: Named) -> None:
    answer = named("no-hba-entry", app(server, mode, user="stranger"), what="no pg_hba.conf entry")
    line = answer.finding("no-hba-entry")["command"].splitlines()[0]
    kind = "hostssl" if mode == "require" else "host"
    assert line == f"{kind} postgres stranger 127.0.0.1/32 scram-sha-256"


def test_hba_line_admits(server: PostgresServer, mode: str, named: Named) -> None:
    """The line that the finding shows, added to pg_hba.conf, lets the client through to the password."""
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'guest'"):
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'app-secret-1'")
    answer = named("no-hba-entry", app(server, mode, user="guest"), row=False)
    before = server.hba
    server.reload(hba=[answer.finding("no-hba-entry")["command"].splitlines()[0], *before])
    try:
        named("wrong-password", app(server, mode, user="guest", password="wrong-5"), row=False)
    finally:
        server.reload(hba=before)


def test_hba_rejects(server: PostgresServer, mode: str, named: Named) -> None:
    named("hba-rejects", app(server, mode, user="rejected"), what="pg_hba.conf rejects")


def test_tls_required_by_server(server: PostgresServer, named: Named) -> None:
    named(
        "tls-required-by-server", app(server, "disable", user="tls_only"), what="TLS required by the server (hostssl)"
    )


def test_prefer_over_hostssl_logs_in(server: PostgresServer, named: Named) -> None:
    named("wrong-password", app(server, "prefer", user="tls_only", password="wrong-5"), row=False)


def test_client_certificate_missing(server: PostgresServer, named: Named) -> None:
    named(
        "client-certificate-missing",
        app(server, "require", user="with_certificate", password=None),
        what="client certificate missing",
    )


def test_database_not_found(server: PostgresServer, mode: str, named: Named) -> None:
    named("database-not-found", app(server, mode, dbname="no_such_database"), what="no such database")


def test_no_connect_privilege(server: PostgresServer, mode: str, named: Named) -> None:
    named("no-connect-privilege", app(server, mode, dbname="closed"), what="no CONNECT privilege")


def test_database_not_accepting(server: PostgresServer, mode: str, named: Named) -> None:
    named("database-not-accepting", app(server, mode, dbname="locked"), what="database does not accept connections")


def test_role_connection_limit(server: PostgresServer, mode: str, named: Named) -> None:
    with contextlib.closing(server.connect(user="limited", password="app-secret-1")):
        named("role-connection-limit", app(server, mode, user="limited"), what="role's connection limit")


def test_database_connection_limit(server: PostgresServer, mode: str, named: Named) -> None:
    with contextlib.closing(server.connect(user="app", password="app-secret-1", dbname="small")):
        named("database-connection-limit", app(server, mode, dbname="small"), what="database's connection limit")


def test_bad_option(server: PostgresServer, mode: str, named: Named) -> None:
    dsn = server.dsn(user="app", password="app-secret-1", sslmode=mode, options="-c no_such_setting=1")
    named("server-refuses-option", dsn, what="a setting the server does not know")


def test_target_session_attrs(server: PostgresServer, mode: str, named: Named) -> None:
    dsn = server.dsn(user="app", password="app-secret-1", sslmode=mode, target_session_attrs="standby")
    answer = named("session-attributes-not-met", dsn, what="target_session_attrs not met")
    assert "primary" in answer.finding("session-attributes-not-met")["why"]


def test_statement_timeout(server: PostgresServer, named: Named) -> None:
    """The view that the first query needs is locked by somebody: the server's own timeout ends the query in time."""
    with contextlib.closing(server.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE pg_settings IN ACCESS EXCLUSIVE MODE")
        named("statement-timeout", app(server, "disable"), what="statement timeout", row=False)


def test_channel_binding_needs_tls(server: PostgresServer, named: Named) -> None:
    dsn = server.dsn(user="app", password="app-secret-1", sslmode="disable", channel_binding="require")
    named("channel-binding-unmet", dsn, what="channel binding required without TLS")


def test_require_auth(server: PostgresServer, named: Named) -> None:
    dsn = server.dsn(user="app", password="app-secret-1", sslmode="disable", require_auth="none")
    named("authentication-method-refused", dsn, what="require_auth not met")


def test_too_many_and_reserved(named: Named) -> None:
    for language in ("english", "german"):
        with _server(language) as server, contextlib.ExitStack() as held:
            server.restart(
                {
                    "max_connections": 6,
                    "superuser_reserved_connections": 2,
                    "max_wal_senders": 0,
                    "wal_level": "minimal",
                }
            )
            server.execute("CREATE ROLE app LOGIN PASSWORD 'app-secret-1'")
            for _ in range(4):
                held.enter_context(contextlib.closing(server.connect(user="app", password="app-secret-1")))
            named("slots-reserved", app(server, "require"), what="slots reserved for superusers")
            for _ in range(2):
                held.enter_context(contextlib.closing(server.connect()))
            named("too-many-clients", app(server, "require"), what="too many clients")


@pytest.mark.parametrize("language", ["english", "german"])
def test_starting_up_and_recovery(language: str, named: Named) -> None:
    server = _server(language)
    try:
        (server.data / "recovery.signal").touch()
        import os

        from tests.servers.workspace import server_ids

        os.chown(server.data / "recovery.signal", *server_ids())
        server.settings.update({"restore_command": "sleep 60", "hot_standby": "off"})
        server.start("starting")
        named("server-starting", app(server, "disable"), what="starting up")
    finally:
        server.stop("immediate")


@pytest.mark.parametrize("language", ["english", "german"])
def test_standby_that_lets_nobody_in(language: str, named: Named) -> None:
    german = language == "german"
    server = PostgresServer(
        "debian15",
        standby=True,
        hba=HBA,
        settings={"hot_standby": "off", **({"lc_messages": "de_DE.UTF-8"} if german else {})},
        environment={"LOCPATH": str(german_locale())} if german else {},
    )
    with server.start("standby"):
        named("server-in-recovery", app(server, "disable"), what="in recovery, not accepting")


@pytest.mark.parametrize("language", ["english", "german"])
def test_shutting_down(language: str, named: Named) -> None:
    with _server(language) as server, contextlib.closing(server.connect()):
        server.stop("smart", wait=False)  # waits for the session that is held open
        wait_until(lambda: "stopping" in (server.data / "postmaster.pid").read_text(), "the shutdown")
        named("server-shutting-down", app(server, "disable"), what="shutting down")
