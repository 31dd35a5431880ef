"""Stages four and five: the driver's own login and queries, under our deadline.

psycopg2's asynchronous mode hands every wait to us, so that no hang outlasts the deadline; and before the first wait its
PGconn is told to be verbose, so that a refused login keeps its SQLSTATE and the server's function name, which psycopg2
otherwise loses (`pgcode` is None on every failed connect). Measured with psycopg2-binary 2.9.13, libpq 17.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.model.target import Target
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor

# libpq's PQERRORS_VERBOSE: SQLSTATE and location go into every message (libpq-fe.h).
_VERBOSE = 2
# Ours: the name under which we show ourselves, and what asynchronous mode leaves to us.
_REPLACED = frozenset({"application_name", "connect_timeout", "host", "hostaddr", "port", "user", "password", "dbname"})


class LoginFailedError(Exception):
    """The driver refused or was refused; the message is libpq's, verbose."""


class QueryFailedError(Exception):
    """A query failed after the login; `sqlstate` is the server's, or None when the connection was lost."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class LoggedIn(NamedTuple):
    """A session of ours: the driver's connection, how long the login took, and what libpq knows of it."""

    connection: connection
    seconds: float
    backend_pid: int
    host: str
    port: int | None
    tls: str | None

    @property
    def where(self) -> str:
        """The server that took us, of those in the DSN."""
        if self.host.startswith(("/", "@")):
            return f"{self.host}/.s.PGSQL.{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def connection_arguments(target: Target, addresses: Sequence[Address]) -> dict[str, str]:
    """What to give to psycopg2: the target's own parameters, and the hosts with the addresses that answered.

    The resolver has been asked already, so libpq is given `hostaddr` and does not ask again.
    """
    arguments = {key: value for key, value in target.parameters.items() if key not in _REPLACED}
    arguments["host"] = ",".join(address.endpoint.host or "" for address in addresses)
    if any(not address.endpoint.is_socket for address in addresses):
        arguments["hostaddr"] = ",".join("" if a.endpoint.is_socket else a.ip for a in addresses)
    arguments["port"] = ",".join(str(address.endpoint.port or 5432) for address in addresses)
    arguments.update({key: value for key, value in (("user", target.user), ("dbname", target.database)) if value})
    arguments["application_name"] = "dbdoctor"
    return arguments


def log_in(target: Target, addresses: Sequence[Address], deadline: Deadline) -> LoggedIn:
    """Log in as the application would. Raises LoginFailedError or DeadlinePassedError."""
    import psycopg2

    make_verbose = _set_verbosity()
    arguments: dict[str, Any] = dict(connection_arguments(target, addresses))
    if target.password is not None:
        arguments["password"] = target.password.reveal()
    for key, secret in target.secret_parameters.items():
        arguments[key] = secret.reveal()
    started = time.monotonic()
    try:
        opened = psycopg2.connect(async_=1, **arguments)
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise LoginFailedError(_words(error)) from None
    try:
        make_verbose(opened.pgconn_ptr, _VERBOSE)
        _wait(opened, deadline)
    except (psycopg2.Error, UnicodeDecodeError) as error:
        opened.close()
        raise LoginFailedError(_words(error)) from None
    except BaseException:
        opened.close()
        raise
    info = opened.info
    tls = f"{info.ssl_attribute('protocol')}, {info.ssl_attribute('cipher')}" if info.ssl_in_use else None
    return LoggedIn(opened, time.monotonic() - started, info.backend_pid, info.host or "", info.port, tls)


def run_query(session: LoggedIn, sql: str, deadline: Deadline) -> tuple[Any, ...] | None:
    """Send one text in one round trip; give its first row, text columns as bytes. None when it gives no rows.

    Raises QueryFailedError or DeadlinePassedError.
    """
    rows = run_rows(session, sql, deadline)
    return rows[0] if rows else None


def run_rows(session: LoggedIn, sql: str, deadline: Deadline) -> list[tuple[Any, ...]]:
    """The same, and all the rows of its last statement."""
    return run_table(session, sql, deadline)[1]


def run_table(session: LoggedIn, sql: str, deadline: Deadline) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The same, with the names of the columns."""
    import psycopg2

    try:
        with contextlib.closing(_cursor(session.connection)) as asked:
            asked.execute(sql)
            _wait(session.connection, deadline)
            if not asked.description:
                return (), []
            return tuple(column[0] for column in asked.description), asked.fetchall()
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise QueryFailedError(_words(error), getattr(error, "pgcode", None)) from None


def _words(error: Exception) -> str:
    """What the driver said; where it was not UTF-8, psycopg2 fails over it instead, and the bytes are in its error."""
    if isinstance(error, UnicodeDecodeError):
        return bytes(error.object).decode("utf-8", "replace")
    return str(error)


def log_out(session: LoggedIn) -> None:
    """End the session; never raises, whatever state it is in."""
    with contextlib.suppress(Exception):
        session.connection.close()


def _cursor(opened: connection) -> cursor:
    """A cursor whose texts come as bytes: a server may send what is not valid in any encoding."""
    from psycopg2 import extensions

    made = opened.cursor()
    extensions.register_type(extensions.BYTES, made)
    return made


def _wait(opened: connection, deadline: Deadline) -> None:
    from psycopg2 import extensions

    while True:
        state = opened.poll()
        if state == extensions.POLL_OK:
            return
        try:
            deadline.wait(opened.fileno(), write=state == extensions.POLL_WRITE)
        except DeadlinePassedError:
            with contextlib.suppress(Exception):
                opened.close()
            raise


@functools.cache
def _set_verbosity() -> Callable[[int, int], object]:
    """libpq's PQsetErrorVerbosity; where it cannot be found, something that does nothing, and the words must do."""
    try:
        import ctypes

        from psycopg2 import _psycopg

        # The extension module is linked with libpq, so its handle finds libpq's symbols whatever file they are in.
        function = ctypes.CDLL(_psycopg.__file__).PQsetErrorVerbosity
        function.argtypes = [ctypes.c_void_p, ctypes.c_int]
    except (ImportError, OSError, AttributeError):
        return lambda _pointer, _level: None
    return function
