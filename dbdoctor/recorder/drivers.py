"""What a driver knows of its connection without asking the server: the session's id there, and which server it is."""

from __future__ import annotations

from typing import Any

from dbdoctor.recorder.faults import is_applications

Server = dict[str, Any]


def session_of(connection: Any) -> int | None:
    """The backend's process id, where the driver was told it at login (psycopg 2 and 3, asyncpg, pg8000); else None."""
    for find in (_psycopg, _asyncpg, _pg8000):
        try:
            number = find(connection)
        except Exception as error:
            if is_applications(error):
                raise
            continue
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31:
            return number
    return None


def driver_of(connection: Any) -> str:
    """The name of the driver's package."""
    inner = getattr(connection, "driver_connection", None) or getattr(connection, "_connection", None) or connection
    return str(type(inner).__module__).partition(".")[0][:100]


def server_of(connection: Any) -> Server | None:
    """Host, port and database as psycopg knows them; None with other drivers."""
    info = getattr(_inner(connection), "info", None)
    try:
        host, port, database = info.host, info.port, info.dbname  # type: ignore[union-attr] # any driver's object
        return {"host": str(host)[:255], "port": int(port), "database": str(database)[:255]}
    except Exception as error:
        if is_applications(error):
            raise
        return None


def _inner(connection: Any) -> Any:
    """The driver's own object, beneath SQLAlchemy's adapter for asyncio."""
    return getattr(connection, "_connection", None) or connection


def _psycopg(connection: Any) -> Any:
    return _inner(connection).info.backend_pid


def _asyncpg(connection: Any) -> Any:
    return _inner(connection).get_server_pid()


def _pg8000(connection: Any) -> Any:
    key = _inner(connection)._backend_key_data
    return int.from_bytes(key[:4], "big")
