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
    """Host, port and database as psycopg and asyncpg know them; None with other drivers."""
    for find in (_psycopg_server, _asyncpg_server):
        try:
            host, port, database = find(_inner(connection))
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


def _psycopg_server(connection: Any) -> tuple[Any, Any, Any]:
    info = connection.info
    return info.host, info.port, info.dbname


def _asyncpg_server(connection: Any) -> tuple[Any, Any, Any]:
    # It has no public name for them. A socket's path is in the address's place on a Unix socket.
    address = connection._addr
    host, port = address if isinstance(address, tuple) else (address.rpartition("/")[0], address.rpartition(".")[2])
    return host, port, connection._params.database


def _asyncpg(connection: Any) -> Any:
    return _inner(connection).get_server_pid()


def _pg8000(connection: Any) -> Any:
    key = _inner(connection)._backend_key_data
    return int.from_bytes(key[:4], "big")
