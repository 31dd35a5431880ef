"""The tests' own servers do what the tests take for granted."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from tests.servers.certificates import Certificates, Pair
from tests.servers.haproxy import HAProxy
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.wire_postgres import logged_in

Start = Callable[..., PostgresServer]


def refusal(dsn: str, **parameters: Any) -> str:
    """What psycopg2 says when it fails to connect."""
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect(dsn, connect_timeout=5, **parameters).close()
    return str(caught.value)


def test_every_major_version_speaks_tls(postgres_matrix: PostgresServer, certificates: Certificates) -> None:
    version = postgres_matrix.execute("SHOW server_version_num")[0][0]
    assert int(version) // 10000 == postgres_matrix.major
    verified = {"host": "localhost", "sslmode": "verify-full", "sslrootcert": str(certificates.authority)}
    assert postgres_matrix.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", **verified) == [(True,)]


def test_a_url_for_tcp_and_for_the_unix_socket(postgres: PostgresServer) -> None:
    for host in ("127.0.0.1", postgres.socket_directory):
        with contextlib.closing(psycopg2.connect(postgres.dsn(host=host))) as connection:
            assert connection.info.dbname == "postgres"
    assert "no encryption" not in refusal(postgres.dsn(user="nobody", password="x"))
    assert "password authentication failed" in refusal(postgres.dsn(user="nobody", password="x"))


def test_the_embedded_server_has_no_tls(postgres: PostgresServer) -> None:
    assert "does not support SSL" in refusal(postgres.dsn(sslmode="require"))


def test_a_server_that_speaks_german(postgres_german: PostgresServer) -> None:
    assert "Datenbank »nix« existiert nicht" in refusal(postgres_german.dsn(dbname="nix"))
    assert "existiert nicht" in refusal(postgres_german.dsn(dbname="nix", sslmode="require"))


def test_access_rules_are_replaced_without_a_restart(start_postgres: Start) -> None:
    server = start_postgres(hba=["host all all all trust"])
    pid = server.pid
    assert server.execute("SELECT 1", password="wrong") == [(1,)]
    server.reload(hba=["host all all all reject"], settings={"log_connections": "off"})
    assert "pg_hba.conf rejects connection" in refusal(server.dsn())
    assert server.pid == pid


def test_settings_survive_quoting(start_postgres: Start) -> None:
    server = start_postgres(settings={"application_name": "o'clock \\ noon", "max_connections": 7})
    assert server.execute("SHOW max_connections") == [("7",)]
    assert "o'clock \\ noon" in (server.data / "postgresql.conf").read_text().replace("''", "'").replace("\\\\", "\\")
    port = server.port
    server.restart({"max_connections": 9})
    assert (server.port, server.execute("SHOW max_connections")) == (port, [("9",)])


def test_a_paused_server_accepts_and_says_nothing(start_postgres: Start) -> None:
    server = start_postgres()
    server.pause()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
        assert select.select([connection], [], [], 0.3)[0] == []
        server.resume()
        assert connection.recv(1) == b"N"


def test_a_smart_stop_refuses_while_a_session_stays(start_postgres: Start) -> None:
    server = start_postgres()
    with contextlib.closing(server.connect()):
        server.stop("smart", wait=False)
        wait_until(lambda: "smart shutdown request" in server.log, "the request")
        assert "the database system is shutting down" in refusal(server.dsn())
    server.stop("smart")


def test_a_crash_and_a_start_after_it(start_postgres: Start) -> None:
    server = start_postgres()
    server.execute("CREATE TABLE kept ()")
    server.stop("immediate")
    assert "Connection refused" in refusal(server.dsn())
    assert server.start().execute("TABLE kept") == []


def test_a_server_that_is_starting_up(start_postgres: Start) -> None:
    server = start_postgres(standby=True, settings={"restore_command": "sleep 100"}, until="starting")
    wait_until(lambda: "starting up" in refusal(server.dsn()), "the first refusal")


def test_a_standby_that_lets_nobody_in(start_postgres: Start) -> None:
    server = start_postgres("18", standby=True, settings={"hot_standby": "off"}, until="standby")
    assert "Hot standby mode is disabled" in refusal(server.dsn())


def test_a_replica_follows_its_primary(start_postgres: Start) -> None:
    primary = start_postgres()
    replica = start_postgres(standby_of=primary)
    primary.execute("CREATE TABLE made_there ()")
    there = "SELECT to_regclass('made_there') IS NOT NULL AND pg_is_in_recovery()"
    wait_until(lambda: replica.execute(there) == [(True,)], "replication")


def test_what_never_gets_ready_says_why(start_postgres: Start) -> None:
    with pytest.raises(AssertionError, match="nonsense"):
        start_postgres(settings={"nonsense": 1})


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("server", None),
        ("chained", None),
        ("expired", "certificate has expired"),
        ("not_yet_valid", "certificate is not yet valid"),
        ("wrong_name", "Hostname mismatch"),
        ("foreign", "unable to get local issuer certificate|self-signed certificate in certificate chain"),
    ],
)
def test_each_certificate_is_bad_in_its_way(kind: str, problem: str | None, certificates: Certificates) -> None:
    pair: Pair = getattr(certificates, kind)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.certificate, pair.key)
    client = ssl.create_default_context(cafile=str(certificates.authority))
    if problem is None:
        shake(client, server)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match=problem):
            shake(client, server)


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A handshake without a network."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="localhost")
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()


def test_client_certificates(start_postgres: Start, certificates: Certificates) -> None:
    server = start_postgres("16", tls=certificates.server, hba=["hostssl all all all cert"])
    good, bad = certificates.client("postgres"), certificates.foreign_client("postgres")
    own = {"sslcert": str(good.certificate), "sslkey": str(good.key)}
    assert server.execute("SELECT 1", **own) == [(1,)]
    assert "connection requires a valid client certificate" in refusal(server.dsn())
    assert "unknown ca" in refusal(server.dsn(), sslcert=str(bad.certificate), sslkey=str(bad.key))


@pytest.mark.parametrize("auth_type", ["trust", "md5", "scram-sha-256"])
@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_pgbouncer_passes_on(
    auth_type: str, pool_mode: str, postgres: PostgresServer, start_pgbouncer: Callable[..., PgBouncer]
) -> None:
    bouncer = start_pgbouncer(postgres.port, auth_type=auth_type, pool_mode=pool_mode)
    assert bouncer.execute("SELECT inet_server_port()") == [(postgres.port,)]
    assert "PgBouncer" in bouncer.execute("SHOW VERSION", dbname="pgbouncer")[0][0]


def test_pgbouncer_refuses(postgres: PostgresServer, start_pgbouncer: Callable[..., PgBouncer]) -> None:
    place = f"host=127.0.0.1 port={postgres.port}"
    few = {"max_client_conn": 2, "default_pool_size": 1, "query_wait_timeout": 1}
    bouncer = start_pgbouncer(postgres.port, databases={"postgres": place}, settings=few)
    assert "no such database: nix" in refusal(bouncer.dsn(dbname="nix"))
    assert "SASL authentication failed" in refusal(bouncer.dsn(password="wrong"))
    with contextlib.closing(psycopg2.connect(bouncer.dsn())) as first:
        first.cursor().execute("SELECT 1")
        with contextlib.closing(psycopg2.connect(bouncer.dsn())) as second:
            assert "no more connections allowed" in refusal(bouncer.dsn())
            with pytest.raises(psycopg2.OperationalError), second.cursor() as cursor:
                cursor.execute("SELECT 1")
        wait_until(lambda: "query_wait_timeout" in bouncer.log, "the timeout")


def test_pgbouncer_before_a_server_that_it_cannot_use(
    postgres: PostgresServer, start_pgbouncer: Callable[..., PgBouncer]
) -> None:
    dead = start_pgbouncer(1, settings={"client_login_timeout": 1})
    assert "client_login_timeout (server down)" in refusal(dead.dsn())
    wrong = {"postgres": f"host=127.0.0.1 port={postgres.port} user=nobody password=wrong"}
    unknown = start_pgbouncer(postgres.port, databases=wrong, auth_type="trust")
    assert 'password authentication failed for user "nobody"' in refusal(unknown.dsn())


def test_haproxy(postgres: PostgresServer, start_haproxy: Callable[..., HAProxy]) -> None:
    up = start_haproxy(("127.0.0.1", postgres.port))
    assert postgres.execute("SELECT 1", port=up.port) == [(1,)]
    down = start_haproxy(("127.0.0.1", 1))
    wait_until(lambda: "no server available" in down.log, "the backend's end")
    assert "server closed the connection unexpectedly" in refusal(postgres.dsn(), port=down.port)


def test_the_password_needs_quoting() -> None:
    # So that whatever forgets to quote it fails.
    assert set("' @/") <= set(PASSWORD)
    assert logged_in().endswith(b"Z\0\0\0\x05I")
