"""The server that the programs share: a role, a database, and rows that each program has to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.servers.postgresql import PostgresServer

ROLE = "shop"
# The role of the one program whose pool is declared.
ALONE = "orders"
PASSWORD = "shop"
DATABASE = "shop"

SETTINGS: dict[str, str | int] = {"max_connections": 400, "max_prepared_transactions": 10, "log_connections": "off"}


def furnish(server: PostgresServer, programs: Iterable[str]) -> str:
    """Makes the roles, the database and the tables on an empty server; the DSN that programs use."""
    for role in (ROLE, ALONE):
        server.execute(f"create role {role} login password '{PASSWORD}'")
        # What a role may not see is another test's matter.
        server.execute(f"grant pg_monitor to {role}")
    server.execute(f"grant {ROLE} to {ALONE}")
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


def alone(dsn: str) -> str:
    """The same for the program whose pool is declared."""
    return dsn.replace(f"//{ROLE}:", f"//{ALONE}:", 1)


def roomy_server(start_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """One that has room for all programs at once."""
    return start_postgres("embedded", settings=SETTINGS)
