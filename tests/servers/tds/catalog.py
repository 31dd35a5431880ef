"""The system views, filled anew for each query, in a DuckDB of their own."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Sequence

import duckdb

from tests.servers.tds import rows, views
from tests.servers.tds.clock import rounded
from tests.servers.tds.errors import SqlError
from tests.servers.tds.functions import MACROS, Seen
from tests.servers.tds.profiles import VIEW_DATABASE_STATE, VIEW_SERVER_STATE, Profile
from tests.servers.tds.results import Result, complaint, result_of
from tests.servers.tds.shown import ShownSession
from tests.servers.tds.translate import Translated

# As T-SQL has it: 5/2 is 2, and 'A' is 'a'.
SETTINGS = ("SET integer_division=true", "SET default_collation='nocase'", "SET TimeZone='UTC'")


def open_database() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that behaves as T-SQL expects."""
    connection = duckdb.connect(":memory:")
    for statement in ("SET threads=1", *SETTINGS, *MACROS):
        connection.execute(statement)
    return connection


class Catalog:
    """The views of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._lock = threading.Lock()
        self._database = open_database()
        self._database.execute("CREATE SCHEMA sys")
        for view in sorted(profile.views):
            shape = ", ".join(f'"{each.name}" {each.stored}' for each in views.columns(view, profile.major))
            self._database.execute(f"CREATE TABLE sys.{view} ({shape})")

    def query(self, query: Translated, seen: Seen, sessions: Sequence[ShownSession]) -> Result:
        """Runs a query on the views; SqlError as SQL Server would refuse it."""
        for view in sorted(query.views):
            if view not in self._profile.views:
                raise SqlError(208, f"sys.{view}")
        visible = {view: self._visible(view, seen, sessions) for view in sorted(query.views)}
        with self._lock:
            for view, shown in visible.items():
                self._fill(view, rows.rows(view, seen.facts, shown, seen.rights))
            try:
                return result_of(self._database.execute(query.sql))
            except duckdb.Error as error:
                raise complaint(error) from error

    def close(self) -> None:
        """Frees the memory."""
        self._database.close()

    def _visible(self, view: str, seen: Seen, sessions: Sequence[ShownSession]) -> list[ShownSession]:
        """The sessions that a view shows to that login; SqlError when it may not look at all."""
        profile, own = self._profile, seen.session.number
        if profile.may_look(view, seen.rights):
            if profile.is_database and view.startswith("dm_exec"):
                return [each for each in sessions if each.database_id == seen.session.database_id]
            return list(sessions)
        if view in views.OWN_ROWS_ONLY:
            return [each for each in sessions if each.session_id == own]
        if profile.is_database and not profile.wants_state_reader:
            raise SqlError(262, VIEW_DATABASE_STATE, seen.session.database)
        right = VIEW_SERVER_STATE if profile.wants_state_reader else profile.state_right
        raise SqlError(300, right, also=(SqlError(297),))

    def _fill(self, view: str, filling: Iterable[rows.Row]) -> None:
        self._database.execute(f"DELETE FROM sys.{view}")
        made = list(filling)
        if not made:
            return
        shape = views.columns(view, self._profile.major)
        values = [[_stored(row.get(column.name, column.default), column.type) for row in made] for column in shape]
        items = ", ".join(f"unnest(CAST(? AS {column.stored}[]))" for column in shape)
        self._database.execute(f"INSERT INTO sys.{view} SELECT {items}", values)


def _stored(value: object, type_: str) -> object:
    if type_ == "datetime" and isinstance(value, dt.datetime):
        return rounded(value)
    if type_ == "sql_variant" and value is not None:
        return str(value)
    if isinstance(value, str):
        # Half characters, which SQL Server can have and DuckDB cannot.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value
