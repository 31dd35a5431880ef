"""The client behind a server session of a real PgBouncer, as its console tells it; and a console that refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from dbdoctor.model.server import Pooler
from dbdoctor.model.session import CLIENT, PooledClient, Session
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.client_side import ClientSide
from dbdoctor.watch.pgbouncer import PgBouncerConsole, has_console, link
from dbdoctor.watch.postgresql_source import PostgresqlSource
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PASSWORD, SUPERUSER, PostgresServer
from tests.servers.waiting import wait_until
from tests.watch.looking import PATIENCE


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("embedded") as started:
        started.execute("CREATE ROLE app LOGIN PASSWORD 'app'")
        yield started


@contextlib.contextmanager
def client_of(pooler: PgBouncer, application: str, *statements: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(pooler.dsn(user="app"), application_name=application)) as opened:
        opened.autocommit = True
        with opened.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield opened


class Looking:
    """Looks through a pooler again and again, as the loop does."""

    def __init__(self, dsn: str) -> None:
        target = parse_dsn(dsn, environment={})
        self.source = PostgresqlSource(target)
        self.facts = self.source.open(PATIENCE)
        self.client_side = ClientSide(target, lambda: self.facts, lambda: self.source.own_connection)

    def look(self) -> Any:
        return self.client_side.enrich(self.source.look(PATIENCE))

    def until_linked(self, clients: int = 1) -> Any:
        seen = []

        def ask() -> bool:
            seen.append(self.look())
            return len(seen[-1].pooled_clients) == clients

        wait_until(ask, f"{clients} clients")
        return seen[-1]

    def __enter__(self) -> Looking:
        return self

    def __exit__(self, *_: object) -> None:
        self.client_side.close()
        self.source.close()


def test_each_open_transaction_has_its_client(server: PostgresServer, start_pgbouncer) -> None:
    pooler = start_pgbouncer(server.port, users={"app": "app"})
    with (
        client_of(pooler, "orders", "BEGIN", "SELECT 1") as orders,
        client_of(pooler, "billing", "BEGIN", "SELECT 2") as billing,
        client_of(pooler, "at rest", "SELECT 3"),
        Looking(pooler.dsn()) as looking,
    ):
        snapshot = looking.until_linked(2)
        held = {client.application: (id_, client) for id_, client in snapshot.pooled_clients.items()}
        assert held.keys() == {"orders", "billing"}
        for name, connection in (("orders", orders), ("billing", billing)):
            id_, client = held[name]
            assert [(id_,)] == server.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [name])
            assert (client.user, client.database, client.address) == ("app", "postgres", "127.0.0.1")
            assert client.port == _port_of(connection)
            assert client.state == "active"
        with orders.cursor() as cursor:
            cursor.execute("COMMIT")
        assert {one.application for one in looking.until_linked(1).pooled_clients.values()} == {"billing"}


def test_over_unix_sockets_too(server: PostgresServer, start_pgbouncer) -> None:
    place = f"host={server.socket_directory} port={server.port}"
    pooler = start_pgbouncer(server.port, users={"app": "app"}, databases={"*": place})
    with client_of(pooler, "orders", "BEGIN", "SELECT 1"), Looking(pooler.dsn()) as looking:
        snapshot = looking.until_linked()
        (id_,) = snapshot.pooled_clients
        assert next(one.application for one in snapshot.sessions if one.id == id_) == "orders"


def test_a_console_that_refuses_is_asked_once_and_named(server: PostgresServer, start_pgbouncer) -> None:
    pooler = start_pgbouncer(server.port, users={"app": "app"}, settings={"admin_users": ""})
    with client_of(pooler, "orders", "BEGIN", "SELECT 1"), Looking(pooler.dsn()) as looking:
        wait_until(lambda: bool(looking.look().missing), "the refusal")
        logged = pooler.log.count("db=pgbouncer")
        assert logged == 1
        for _ in range(5):
            snapshot = looking.look()
            assert snapshot.pooled_clients == {}
            (missing,) = snapshot.missing
            assert "PgBouncer" in missing.what
            assert missing.help == f"in pgbouncer.ini: stats_users = {SUPERUSER}; then RELOAD"
            assert PASSWORD not in missing.reason
        assert pooler.log.count("db=pgbouncer") == logged


def test_after_a_restart_of_pgbouncer_it_logs_in_again(server: PostgresServer, start_pgbouncer) -> None:
    pooler = start_pgbouncer(server.port, users={"app": "app"})
    with Looking(pooler.dsn()) as looking:
        with client_of(pooler, "before", "BEGIN", "SELECT 1"):
            looking.until_linked()
        pooler.stop()
        pooler.start()
        looking.facts = looking.source.open(PATIENCE)
        with client_of(pooler, "after", "BEGIN", "SELECT 1"):
            (client,) = looking.until_linked().pooled_clients.values()
            assert client.application == "after"


def test_a_password_that_the_console_does_not_take_is_not_repeated(server: PostgresServer, start_pgbouncer) -> None:
    pooler = start_pgbouncer(server.port)
    console = PgBouncerConsole(parse_dsn(pooler.dsn(password="not the password"), environment={}))
    snapshot = console.enrich(_snapshot_with_a_session(server))
    (missing,) = snapshot.missing
    assert "not the password" not in missing.reason


def _snapshot_with_a_session(server: PostgresServer) -> Any:
    source = PostgresqlSource(parse_dsn(server.dsn(), environment={}))
    with contextlib.closing(server.connect()) as opened, contextlib.closing(source), opened.cursor() as cursor:
        source.open(PATIENCE)
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_sleep(0.6)")
        return source.look(PATIENCE)


def test_only_what_may_be_pgbouncer_is_asked() -> None:
    one = parse_dsn("postgresql://app@db/shop", environment={})
    two = parse_dsn("postgresql://app@db1,db2/shop", environment={})
    assert has_console(Pooler("a connection pooler"), one)
    assert has_console(Pooler("PgBouncer"), one)
    assert not has_console(Pooler("Odyssey"), one)
    assert not has_console(Pooler("PgBouncer"), two), "which of them is it?"


def _session(id_: int, client: str | None, port: int | None) -> Session:
    return Session(
        id_, 1.0, "app", "shop", "x", client, port, "idle in transaction", 1, 1, 1, None, False, None, CLIENT
    )


def _row(pid: int, port: int, link: str = "C1", ptr: str = "S1", server: str = "db1") -> dict[str, str]:
    return {"remote_pid": str(pid), "local_port": str(port), "link": link, "ptr": ptr, "addr": server, "port": "5432"}


CLIENT_ROW = {"ptr": "C1", "link": "S1", "addr": "10.0.0.9", "port": "4000", "user": "app", "database": "shop"}
KNOWN = {7: PooledClient("10.0.0.9", 4000, None, "app", "shop", None)}


@pytest.mark.parametrize(
    ("session", "servers", "found"),
    [
        (_session(7, "10.0.0.1", 5000), [_row(7, 5000)], KNOWN),
        (_session(7, "10.0.0.1", 5000), [_row(7, 6000)], {}),  # the id of another server's session
        (_session(7, "10.0.0.1", 5000), [_row(7, 6000, ptr="S2", server="db2"), _row(7, 5000)], KNOWN),
        (_session(7, "10.0.0.1", 5000), [_row(7, 5000, ptr="S2", server="db2"), _row(7, 5000)], {}),  # which?
        (_session(7, "10.0.0.1", 5000), [_row(7, 5000, link="C2")], {}),  # lent to another one meanwhile
        (_session(7, "10.0.0.1", 5000), [_row(7, 5000, ptr="S2")], {}),  # the client has another session by now
        (_session(7, "local", None), [_row(7, 6432)], KNOWN),
        (_session(7, "local", None), [_row(7, 6432), _row(8, 6432, ptr="S2", server="db2")], {}),
        (_session(7, "10.0.0.1", 5000), [{"link": "C1", "ptr": "S1", "local_port": "5000"}], {}),  # PgBouncer 1.6
        (_session(7, "10.0.0.1", 5000), [], {}),
    ],
)
def test_a_link_in_doubt_is_none(session: Session, servers: list[dict[str, str]], found: dict[int, Any]) -> None:
    assert link([session], servers, [CLIENT_ROW]) == found


def test_a_client_of_a_unix_socket_is_local() -> None:
    row = {**CLIENT_ROW, "addr": "unix", "port": "6432", "application_name": "x"}
    (client,) = link([_session(7, "10.0.0.1", 5000)], [_row(7, 5000)], [row]).values()
    assert (client.address, client.port, client.application) == ("local", None, "x")


def _port_of(connection: Any) -> int:
    import os
    import socket

    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        return int(ours.getsockname()[1])
