"""A PostgreSQL session that idles: psycopg2 asynchronously, so that no wait is its own."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

from dbdoctor.databases.postgresql_text import first_line
from dbdoctor.measure.link import Answered, Event, Failed, Gone, Opened, Touched, glimpse, probe_after
from dbdoctor.model.measured import Drop
from dbdoctor.model.secret import redact
from dbdoctor.model.session import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

# Who it is, for the end of what a silent drop leaves on the server. A pooler's server session is not ours to remember.
_WHO = (
    "SELECT pg_backend_pid(), date_part('epoch', backend_start) FROM pg_catalog.pg_stat_get_activity(pg_backend_pid())"
)
_USE = "SELECT 1"
# libpq's words for a notice, verbose: severity, SQLSTATE, text. Classes 00 and 01 are no errors.
_NOTICE = re.compile(r"^[^\n:]+:\s+([0-9A-Z]{5}): (.*)")
_HARMLESS = ("00", "01")
_VERBOSE = 2
_ENDED = "the server closed the connection"
NOT_OURS = frozenset({"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"})
"""Parameters of the target that would disturb the idling."""


class PostgresqlLink:
    """`arguments` are psycopg2's, the password among them. With `anonymous` the session's identity is not asked for."""

    def __init__(self, number: int, arguments: Mapping[str, Any], *, anonymous: bool = False) -> None:
        self.number = number
        self.identity: Identity | None = None
        self.wants_write = False
        self._arguments = {key: value for key, value in arguments.items() if key not in NOT_OURS}
        self._anonymous = anonymous
        self._connection: Any = None
        self._cursor: Any = None
        self._problem = "the connection was not begun"
        self._opened = False
        self._sent = 0.0
        self._noticed = 0

    def start(self) -> None:
        """Begin to log in. What fails at once is told by the first `step`."""
        import psycopg2

        try:
            self._connection = psycopg2.connect(async_=1, keepalives="0", **self._arguments)
            _be_verbose(self._connection)
            self.wants_write = True
        except (psycopg2.Error, UnicodeDecodeError) as error:
            self._problem = redact(first_line(_words(error)))

    def fileno(self) -> int:
        """libpq's socket, which changes while it tries several hosts."""
        try:
            return int(self._connection.fileno())
        except Exception:  # noqa: BLE001 (closed, or never opened: psycopg2 has an error for each)
            return -1

    def step(self, now: float) -> Event | None:
        """The next piece of the login, of an answer, or of what nobody asked for."""
        if self._connection is None:
            return Failed(self._problem)
        if self._opened and self._cursor is None:
            return self._overhear()
        end = glimpse(self.fileno()).end if self._opened else None
        try:
            waits_for = self._connection.poll()
        except Exception as error:  # noqa: BLE001 (psycopg2's, and UnicodeDecodeError over words that are no UTF-8)
            return self._end(end, str(error)) if self._opened else Failed(redact(first_line(_words(error))))
        return self._went_on(waits_for, now)

    def use(self) -> Event | None:
        """Send `SELECT 1`."""
        return self._ask(_USE)

    def set_keepalive(self, seconds: int) -> None:
        """Let TCP probe it."""
        probe_after(self.fileno(), seconds)

    def close(self) -> None:
        """Say goodbye, which does not wait, and close."""
        with contextlib.suppress(Exception):
            self._connection.close()
        self._connection = self._cursor = None

    # Inside

    def _went_on(self, waits_for: int, now: float) -> Event | None:
        from psycopg2 import extensions

        if waits_for != extensions.POLL_OK:
            self.wants_write = waits_for == extensions.POLL_WRITE
            return None
        self.wants_write = False
        if self._cursor is None:
            gone = self._ask(_USE if self._anonymous else _WHO)
            return Failed(gone.said or _ENDED) if gone else None
        self._take_answer()
        if self._opened:
            return Answered()
        self._opened = True
        return Opened(min(self._sent, now))

    def _ask(self, statement: str) -> Gone | None:
        before = glimpse(self.fileno()).end
        try:
            self._cursor = self._connection.cursor()
            self._sent = time.monotonic()
            self._cursor.execute(statement)
        except Exception as error:  # noqa: BLE001 (whatever the driver makes of a socket that is dead)
            return self._end(before, str(error))
        return None  # a statement this short goes out in one piece

    def _take_answer(self) -> None:
        import psycopg2

        with contextlib.suppress(psycopg2.Error, TypeError, ValueError):
            row = self._cursor.fetchone()
            if not self._opened and not self._anonymous and row and len(row) == 2:
                self.identity = (int(row[0]), float(row[1]) if row[1] is not None else None)
        with contextlib.suppress(psycopg2.Error):
            self._cursor.close()
        self._cursor = None

    def _overhear(self) -> Event | None:
        """Nobody asked for anything: the end, the server's last words, or a notice."""
        seen = glimpse(self.fileno())
        if seen.end is not None:
            return Gone(seen.end)
        if not seen.has_data:
            return None
        try:
            self._connection.poll()
        except Exception as error:  # noqa: BLE001 (see above)
            return self._end(glimpse(self.fileno()).end, str(error))
        return self._last_words() or (Gone(Drop.CLOSED) if self._connection.closed else Touched())

    def _last_words(self) -> Gone | None:
        notices = self._connection.notices[self._noticed :]
        self._noticed += len(notices)
        for notice in reversed(notices):
            match = _NOTICE.match(notice)
            if match and not match[1].startswith(_HARMLESS):
                return Gone(Drop.SERVER_ERROR, redact(first_line(match[2])), match[1])
        return None

    def _end(self, end: Drop | None, words: str) -> Gone:
        told = self._last_words()
        if told:
            return told
        match = _NOTICE.match(words)
        if match and not match[1].startswith(_HARMLESS):
            return Gone(Drop.SERVER_ERROR, redact(first_line(match[2])), match[1])
        return Gone(end or (Drop.RESET if "reset by peer" in words else Drop.CLOSED))


def _words(error: Exception) -> str:
    return bytes(error.object).decode("utf-8", "replace") if isinstance(error, UnicodeDecodeError) else str(error)


def _be_verbose(connection: Any) -> None:
    """Let libpq give the SQLSTATE with every message; where it cannot be told so, words must do."""
    from dbdoctor.probe import login

    login._set_verbosity()(connection.pgconn_ptr, _VERBOSE)
