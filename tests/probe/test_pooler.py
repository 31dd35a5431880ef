"""PgBouncer and HAProxy between us and a real server: recognised, its mode named, and its refusals told from the server's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.probe.conftest import Named
from tests.probe.test_healthy import check
from tests.servers.network import refused_port
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("embedded") as server:
        yield server


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_recognised_and_its_mode_named(mode: str, server: PostgresServer) -> None:
    with PgBouncer(server.port, pool_mode=mode) as pooler:
        answer = check(pooler.dsn())
        assert answer["server"]["pooler"] == {"name": "PgBouncer", "version": None, "mode": mode}
        assert ("pooler-transaction-mode" in [f["code"] for f in answer["findings"]]) is (mode != "session")
        # Nothing of our settings stays in the server's session that somebody else is given next.
        assert pooler.execute("SHOW transaction_read_only") == [("off",)]
        assert pooler.execute("SHOW statement_timeout") == [("0",)]


def test_a_pool_of_one_does_not_eat_the_login_timeout(server: PostgresServer) -> None:
    for mode in ("session", "transaction"):
        with PgBouncer(server.port, pool_mode=mode, settings={"default_pool_size": 1}) as pooler:
            answer = check(pooler.dsn(), "--login-timeout", "4s")
            assert answer["server"]["pooler"]["mode"] == mode
            assert answer["seconds"] < 2.5


def test_no_pooler_is_seen_where_there_is_none(server: PostgresServer) -> None:
    assert check(server.dsn())["server"]["pooler"] is None


def test_no_such_database(server: PostgresServer, named: Named) -> None:
    with PgBouncer(server.port, databases={"shop": f"host=127.0.0.1 port={server.port}"}) as pooler:
        named("pooler-no-such-database", pooler.dsn(dbname="other"), what="PgBouncer: no such database")


def test_server_login_failed(server: PostgresServer, named: Named) -> None:
    line = f"host=127.0.0.1 port={server.port} user=pooler_role password=not-it-77"
    with PgBouncer(server.port, databases={"*": line}) as pooler:
        named("pooler-server-login-failed", pooler.dsn(), what="PgBouncer: server login failed")


def test_server_not_there(named: Named) -> None:
    """PgBouncer itself says nothing for two minutes; that it is PgBouncer which holds the client is seen all the same."""
    with refused_port() as port, PgBouncer(port) as pooler:
        named("pooler-holds-client", pooler.dsn(), what="PgBouncer: no server behind it")


def test_query_wait_timeout(server: PostgresServer, named: Named) -> None:
    settings = {"default_pool_size": 1, "query_wait_timeout": 1}
    with PgBouncer(server.port, pool_mode="session", settings=settings) as pooler:
        import psycopg2

        with contextlib.closing(psycopg2.connect(pooler.dsn())) as holder, holder.cursor() as cursor:
            cursor.execute("SELECT 1")
            named("pooler-query-wait-timeout", pooler.dsn(), login_timeout=6.0, what="PgBouncer: query_wait_timeout")


def test_no_more_connections(server: PostgresServer, named: Named) -> None:
    with PgBouncer(server.port, settings={"max_client_conn": 1}) as pooler:
        import psycopg2

        with contextlib.closing(psycopg2.connect(pooler.dsn())):
            named("pooler-too-many-clients", pooler.dsn(), what="PgBouncer: no more connections allowed")


def test_wrong_password(server: PostgresServer, named: Named) -> None:
    with PgBouncer(server.port) as pooler:
        named("wrong-password", pooler.dsn(password="not-it-77"), what="PgBouncer: wrong password")


def test_refused_parameter(server: PostgresServer, named: Named) -> None:
    with PgBouncer(server.port) as pooler:
        text = pooler.dsn() + "?options=-c%20statement_timeout%3D5000"
        named("pooler-refuses-parameter", text, what="PgBouncer: unsupported startup parameter")


def test_mode_is_named_while_others_use_the_pool(server: PostgresServer) -> None:
    """Other clients come and go meanwhile: whatever is said of the mode, it is not wrong."""
    import psycopg2

    with PgBouncer(server.port, pool_mode="transaction", settings={"default_pool_size": 3}) as pooler:
        over = threading.Event()

        def work() -> None:
            with contextlib.closing(psycopg2.connect(pooler.dsn())) as connection, connection.cursor() as cursor:
                while not over.is_set():
                    cursor.execute("SELECT pg_sleep(0.002)")
                    connection.commit()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            mode = check(pooler.dsn())["server"]["pooler"]["mode"]
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert mode in ("transaction", None)
