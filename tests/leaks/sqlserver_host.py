"""What a program on SQL Server is given: its engines, its rows, and what programs do again and again."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.leaks.programs.program import Host, Program

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

ROWS = 20
SHARED = "shared"
PROGRAMS: dict[str, Program] = {}

Run = Callable[["SqlServerHost"], None]


def leak(why: str, *, alone: bool = False) -> Callable[[Run], Run]:
    """Registers a program that leaks, and why that is a leak; `alone` as of Program."""
    return lambda run: _register(run, True, why, alone)


def healthy(why: str) -> Callable[[Run], Run]:
    """Registers a program that does nothing wrong, and why what it does is right."""
    return lambda run: _register(run, False, why, False)


def _register(run: Run, leaks: bool, why: str, alone: bool) -> Run:
    name = run.__name__.replace("_", "-")
    PROGRAMS[name] = Program(name, run, leaks, why, alone=alone)  # type: ignore[arg-type]
    return run


class SqlServerHost(Host):
    """The process that a program runs in. It has a table to itself, with rows 1 to ROWS."""

    @property
    def table(self) -> str:
        """Its name."""
        return table_of(self.name)

    def connection_string(self, driver: str = "microsoft", application_name: str | None = None) -> str:
        """For pyodbc."""
        own = os.environ[f"PROGRAM_{driver.upper()}{'_ALONE' if PROGRAMS[self.name].alone else ''}"]
        return f"{own}APP={application_name or self.name};"

    def engine(self, driver: str | None = None, **arguments: Any) -> Engine:  # type: ignore[override]
        """An engine as `create_engine(**arguments)` makes it, with pyodbc and that driver."""
        from sqlalchemy import create_engine

        quoted = urllib.parse.quote_plus(self.connection_string(driver or "microsoft"))
        return create_engine(f"mssql+pyodbc:///?odbc_connect={quoted}", **arguments)

    def raw_connection(self, *, application_name: str | None = None, autocommit: bool = False) -> Any:
        """A connection of pyodbc itself."""
        import pyodbc

        return pyodbc.connect(self.connection_string(application_name=application_name), autocommit=autocommit)

    def ready(self) -> None:
        """Says that the behaviour is reached."""
        os.write(1, f"{self.name} {os.getpid()}\n".encode())


def table_of(name: str) -> str:
    """The table that a program has to itself."""
    return name.replace("-", "_")


def read(connection: Connection, host: SqlServerHost) -> None:
    """One small query."""
    connection.exec_driver_sql(f"SELECT amount FROM {host.table} WHERE id = {host.random.randint(1, ROWS)}")


def write(connection: Connection, host: SqlServerHost) -> None:
    """One small write."""
    number = host.random.randint(1, ROWS)
    connection.exec_driver_sql(f"UPDATE {host.table} SET amount = amount + 1 WHERE id = {number}")


def insert(connection: Connection, host: SqlServerHost, number: int = 0) -> None:
    """A further row."""
    connection.exec_driver_sql(f"INSERT INTO {host.table} (id, amount) VALUES ({1000 + number}, 1)")


def serve(engine: Engine, host: SqlServerHost, work: tuple[float, float]) -> None:
    """A request as it should be: a read and a write in one transaction, its end sure, and some work (seconds) within."""
    with engine.begin() as connection:
        read(connection, host)
        host.sleep(*work)
        write(connection, host)


def traffic(
    engine: Engine, host: SqlServerHost, think: tuple[float, float], work: tuple[float, float] = (0.0, 0.02)
) -> None:
    """One worker that serves requests for ever, with a think time between them (seconds)."""
    while True:
        serve(engine, host, work)
        host.sleep(*think)
