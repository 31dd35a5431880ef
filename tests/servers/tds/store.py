"""The applications' own tables, in a DuckDB that all databases share; each session has its own transaction in it.

DuckDB's transactions see the tables as they were at their start, and end with the first error; SQL Server's do neither.
So a session keeps a journal of what its transaction has written, and where DuckDB gives up, it is written once more in
a new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import duckdb

from tests.servers.tds.catalog import SETTINGS, open_database
from tests.servers.tds.errors import SqlError
from tests.servers.tds.locks import INSERTED, Lock, Locks
from tests.servers.tds.results import Result, complaint, is_conflict, result_of
from tests.servers.tds.sessions import Session
from tests.servers.tds.translate import Translated, sequences

# What SQL Server writes into the log for a changed row, about; only that it is more than nothing matters.
LOG_BYTES = 120
CHANGES = {"insert", "update", "delete", "merge"}
# How often a transaction is written again before it is a deadlock's victim.
TRIES = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What a transaction wrote: a statement, once or for each of `rows`."""

    sql: str
    rows: tuple[tuple[object, ...], ...] | None = None


class Store:
    """Tables, rows, locks."""

    def __init__(self) -> None:
        self._database = open_database()
        self._locks = Locks()

    def open(self) -> duckdb.DuckDBPyConnection:
        """A session's own way in."""
        cursor = self._database.cursor()
        for statement in SETTINGS:
            cursor.execute(statement)
        return cursor

    def tables(self) -> list[str]:
        """The tables that are committed, by name."""
        with self._database.cursor() as cursor:
            query = "SELECT table_name FROM information_schema.tables ORDER BY 1"
            return [str(row[0]) for row in cursor.execute(query).fetchall()]

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        return name.lower() in (each.lower() for each in self.tables())

    def query(self, query: Translated, session: Session) -> Result:
        """Runs a statement on the tables; SqlError as SQL Server would refuse it."""
        transaction = session.transaction
        if transaction is not None:
            transaction.touched = True
        for lock in _locks_of(query):
            self._locks.acquire(session, lock)
        try:
            result = self._run(query, session)
        except duckdb.Error as error:
            self._write_again(session)
            raise complaint(error) from error
        finally:
            if transaction is None:
                self._locks.release(session)
        if query.kind != "select":
            self._log(query, session, result)
        return result

    def end(self, session: Session, *, commit: bool) -> None:
        """The session's transaction is over; SqlError when it cannot be committed."""
        try:
            if session.writes and commit:
                self._insist(session, lambda: session.store.execute("COMMIT"))
        except duckdb.Error as error:
            raise complaint(error) from error
        finally:
            if session.writes:
                with contextlib.suppress(duckdb.Error):
                    session.store.execute("ROLLBACK")
            session.writes = False
            session.journal.clear()
            self._locks.release(session)

    def close(self) -> None:
        """Frees the memory."""
        self._database.close()

    def _run(self, query: Translated, session: Session) -> Result:
        if query.kind != "select" and session.transaction is not None and not session.writes:
            session.store.execute("BEGIN")
            session.writes = True
        if query.kind == "other":
            for name in sequences(query):
                # Of nobody's transaction, as identities are.
                self._database.execute(f'CREATE SEQUENCE IF NOT EXISTS "{name}"')
        return self._insist(session, lambda: self._changed(query, session))

    def _insist(self, session: Session, run: Callable[[], T]) -> T:
        """Runs it, and again when another's transaction came between; SqlError 1205 when it always does."""
        for _ in range(TRIES):
            try:
                return run()
            except duckdb.TransactionException as error:
                if not is_conflict(error):
                    raise
                self._write_again(session)
        raise SqlError(1205, session.number)

    def _write_again(self, session: Session) -> None:
        """A new transaction with all that the session's own has written so far."""
        if not session.writes:
            return
        with contextlib.suppress(duckdb.Error):
            session.store.execute("ROLLBACK")
        session.store.execute("BEGIN")
        for entry in session.journal:
            if entry.rows is None:
                session.store.execute(entry.sql)
            elif entry.rows:
                session.store.executemany(entry.sql, list(entry.rows))

    def _changed(self, query: Translated, session: Session) -> Result:
        if query.kind == "insert":
            return self._inserted(query, session)
        result = result_of(session.store.execute(query.sql))
        if session.writes and query.kind != "select":
            session.journal.append(Entry(query.sql))
        if query.kind == "other":
            return Result()
        if query.kind in CHANGES and "RETURNING" not in query.sql:
            return Result(count=int(str(result.rows[0][0])) if result.rows else 0)
        return result

    def _inserted(self, query: Translated, session: Session) -> Result:
        """An INSERT; what came out of it is what the journal keeps, with the identities that were given."""
        sql, _, wanted = query.sql.partition(" RETURNING ")
        result = result_of(session.store.execute(f"{sql} RETURNING *"))
        if session.writes:
            marks = ", ".join("?" for _ in result.columns)
            table = sql.removeprefix("INSERT INTO ").split("(")[0].split()[0]
            session.journal.append(Entry(f"INSERT INTO {table} VALUES ({marks})", result.rows))
        if not wanted:
            return Result(count=len(result.rows))
        names = [column.name.lower() for column in result.columns]
        places = [names.index(name.strip().strip('"').lower()) for name in wanted.split(",")]
        rows = tuple(tuple(row[place] for place in places) for row in result.rows)
        return Result(tuple(result.columns[place] for place in places), rows, len(rows))

    def _log(self, query: Translated, session: Session, result: Result) -> None:
        """Counts what SQL Server would have written into its log."""
        transaction = session.transaction
        records = (result.count or 0) if query.kind in CHANGES else 1
        if transaction is None or not records:
            return
        transaction.log_records += records + (0 if transaction.log_records else 1)
        transaction.log_bytes += LOG_BYTES * (records + 1)
        transaction.first_record = transaction.first_record or session.clock.local()


def _locks_of(query: Translated) -> list[Lock]:
    if query.kind in {"update", "delete", "merge"} or query.locks:
        return [Lock(table, query.predicate) for table in sorted(query.tables)]
    if query.kind == "insert":
        return [Lock(table, INSERTED) for table in sorted(query.tables)]
    return []
