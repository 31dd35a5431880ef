"""The server that the programs share: a role, a database, and rows that each program has to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.servers.postgresql import PostgresServer

ROLE = "shop"
PASSWORD = "shop"
DATABASE = "shop"

SETTINGS: dict[str, str | int] = {"max_connections": 400, "max_prepared_transactions": 10, "log_connections": "off"}


def furnish(server: PostgresServer, programs: Iterable[str]) -> str:
    """Makes the role, the database and the tables on an empty server; the DSN that programs use."""
    server.execute(f"create role {ROLE} login password '{PASSWORD}'")
    # What the role may not see is another test's matter.
    server.execute(f"grant pg_monitor to {ROLE}")
    server.execute(f"create database {DATABASE} owner {ROLE}")
    dsn = server.dsn(user=ROLE, password=PASSWORD, dbname=DATABASE)
    login = {"user": ROLE, "password": PASSWORD, "dbname": DATABASE}
    server.execute("create table audit (program text)", **login)
    server.execute("create table item (program text, id int, amount int default 0, primary key (program, id))", **login)
    server.execute(
        "insert into item (program, id) select program, id from unnest(%s) as program, generate_series(1, 200) as id",
        ([*programs, "shared"],),
        **login,
    )
    return dsn


def roomy_server(start_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """One that has room for all programs at once."""
    return start_postgres("embedded", settings=SETTINGS)
