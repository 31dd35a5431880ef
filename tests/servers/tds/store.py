"""The applications' own tables, in a DuckDB that all databases share; each session has its own transaction in it."""

from __future__ import annotations

import contextlib

import duckdb

from tests.servers.tds.catalog import SETTINGS, open_database
from tests.servers.tds.errors import SqlError
from tests.servers.tds.locks import INSERTED, Lock, Locks
from tests.servers.tds.results import Result, complaint, is_conflict, result_of
from tests.servers.tds.sessions import Session
from tests.servers.tds.translate import Translated, sequences

# What SQL Server writes into the log for a changed row, about; only that it is more than nothing matters.
LOG_BYTES = 120
WRITES = {"insert", "update", "delete", "merge", "other"}


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
            self._mend(session)
            raise complaint(error) from error
        finally:
            if transaction is None:
                self._locks.release(session)
        if query.kind in WRITES and transaction is not None:
            records = max(result.count or 0, 1 if query.kind == "other" else 0)
            if records:
                transaction.log_records += records + (0 if transaction.log_records else 1)
                transaction.log_bytes += LOG_BYTES * (records + 1)
                transaction.first_record = transaction.first_record or session.clock.local()
        return result

    def end(self, session: Session, *, commit: bool) -> None:
        """The session's transaction is over."""
        if session.writes:
            session.writes = False
            with contextlib.suppress(duckdb.Error):
                session.store.execute("COMMIT" if commit else "ROLLBACK")
        self._locks.release(session)

    def close(self) -> None:
        """Frees the memory."""
        self._database.close()

    def _run(self, query: Translated, session: Session) -> Result:
        if query.kind in WRITES and session.transaction is not None and not session.writes:
            session.store.execute("BEGIN")
            session.writes = True
        if query.kind == "other":
            for name in sequences(query):
                session.store.execute(f'CREATE SEQUENCE IF NOT EXISTS "{name}"')
        try:
            return self._counted(query, session)
        except duckdb.TransactionException as error:
            if not is_conflict(error):
                raise
        if session.transaction is not None:
            raise SqlError(1205, session.number)
        # Another's transaction has changed these rows by another WHERE: wait until nobody else is at the table.
        for table in query.tables:
            self._locks.acquire(session, Lock(table, None))
        return self._counted(query, session)

    def _counted(self, query: Translated, session: Session) -> Result:
        result = result_of(session.store.execute(query.sql))
        if query.kind in {"insert", "update", "delete", "merge"} and "RETURNING" not in query.sql:
            changed = result.rows[0][0] if result.rows else 0
            return Result(count=int(str(changed)))
        return result if query.kind != "other" else Result()

    def _mend(self, session: Session) -> None:
        """DuckDB gives a whole transaction up after an error, SQL Server only the statement."""
        if session.writes:
            with contextlib.suppress(duckdb.Error):
                session.store.execute("ROLLBACK")
            session.store.execute("BEGIN")


def _locks_of(query: Translated) -> list[Lock]:
    if query.kind in {"update", "delete", "merge"} or query.locks:
        return [Lock(table, query.predicate) for table in sorted(query.tables)]
    if query.kind == "insert":
        return [Lock(table, INSERTED) for table in sorted(query.tables)]
    return []
