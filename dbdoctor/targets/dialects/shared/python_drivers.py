"""What the Python drivers of PostgreSQL call their connection options, as a SQLAlchemy URL's query hands them over.

Sources: the signatures of `asyncpg.connect` (0.31), `psycopg.connect` (3.2) and `pg8000.connect` (1.31), and the
`create_connect_args` of SQLAlchemy's dialects (2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Driver
from dbdoctor.targets.libpq.names import suggest
from dbdoctor.targets.libpq.parameters import SSL_MODES

_SSL_WORDS = convert.words({mode: mode for mode in SSL_MODES})

_ASYNCPG_NAMES: Mapping[str, str] = {
    "sslmode": "ssl",
    "connect_timeout": "timeout",
    "dbname": "database",
    "options": "server_settings",
    "application_name": "server_settings",
    "search_path": "server_settings",
    "sslrootcert": "ssl",
    "sslcert": "ssl",
    "sslkey": "ssl",
}
_PG8000_NAMES: Mapping[str, str] = {
    "sslmode": "ssl_context",
    "ssl": "ssl_context",
    "connect_timeout": "timeout",
    "dbname": "database",
    "keepalives": "tcp_keepalive",
    "options": "startup_params",
}


def _socket_directory(_name: str, value: str) -> str:
    """pg8000 takes the socket's file, libpq its directory."""
    return value.rpartition("/.s.PGSQL.")[0] or value


PSYCOPG2 = Driver(
    "psycopg2",
    own={"database": ("dbname", convert.same)},
    accepted=frozenset({"connection_factory", "cursor_factory", "async", "async_"}),
    takes_libpq=True,
)
PSYCOPG = Driver(
    "psycopg",
    accepted=frozenset({"autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory", "conninfo"}),
    takes_libpq=True,
)
ASYNCPG = Driver(
    "asyncpg",
    own={
        "host": ("host", convert.same),
        "port": ("port", convert.same),
        "user": ("user", convert.same),
        "password": ("password", convert.same),
        "passfile": ("passfile", convert.same),
        "service": ("service", convert.same),
        "servicefile": ("servicefile", convert.same),
        "database": ("dbname", convert.same),
        "timeout": ("connect_timeout", convert.seconds),
        "ssl": ("sslmode", _SSL_WORDS),
        "target_session_attrs": ("target_session_attrs", convert.same),
        "krbsrvname": ("krbsrvname", convert.same),
        "gsslib": ("gsslib", convert.same),
    },
    accepted=frozenset(
        {
            "command_timeout",
            "statement_cache_size",
            "max_cached_statement_lifetime",
            "max_cacheable_statement_size",
            "direct_tls",
            "server_settings",
            "connection_class",
            "record_class",
            "loop",
            "prepared_statement_cache_size",
            "prepared_statement_name_func",
            "async_fallback",
            "async_creator_fn",
        }
    ),
    right_name=lambda name: _ASYNCPG_NAMES.get(name) or _ASYNCPG_NAMES.get(suggest(name) or ""),
)
PG8000 = Driver(
    "pg8000",
    own={
        "host": ("host", convert.same),
        "port": ("port", convert.same),
        "user": ("user", convert.same),
        "password": ("password", convert.same),
        "database": ("dbname", convert.same),
        "timeout": ("connect_timeout", convert.seconds),
        "unix_sock": ("host", _socket_directory),
        "tcp_keepalive": ("keepalives", convert.flag),
        "application_name": ("application_name", convert.same),
        "replication": ("replication", convert.same),
        "ssl_context": ("sslmode", convert.when_true("require", "disable")),
    },
    accepted=frozenset({"source_address", "sock", "startup_params"}),
    right_name=lambda name: _PG8000_NAMES.get(name) or _PG8000_NAMES.get(suggest(name) or ""),
)

DRIVERS: Mapping[str, Driver] = {
    "psycopg2": PSYCOPG2,
    "psycopg2cffi": PSYCOPG2,
    "psycopg": PSYCOPG,
    "psycopg_async": PSYCOPG,
    "asyncpg": ASYNCPG,
    "pg8000": PG8000,
}
"""By the name after the `+` of a SQLAlchemy URL."""
