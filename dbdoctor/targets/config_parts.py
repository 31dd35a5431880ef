"""The parts of a profile (`host`, `port`, `database` ...) -> a DSN, so that parts mean exactly what a DSN means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def parts_dsn(values: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    """A libpq `key=value` string, or an ODBC connection string for `product = "mssql"`; never with the password in it."""
    return _odbc(values, parameters) if values.get("product") == "mssql" else _libpq(values, parameters)


def _libpq(values: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    words = {
        "host": values.get("host"),
        "port": values.get("port"),
        "user": values.get("user"),
        "dbname": values.get("database"),
        "service": values.get("service"),
        **parameters,
    }
    return (
        " ".join(f"{key}={_libpq_quoted(str(value))}" for key, value in words.items() if value is not None) or "host=''"
    )


def _libpq_quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _odbc(values: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    host = values.get("host", "localhost")
    words = {
        "Driver": "ODBC Driver 18 for SQL Server",
        "Server": f"{host},{values['port']}" if "port" in values else host,
        "Database": values.get("database"),
        "UID": values.get("user"),
    }
    given = {key.lower() for key in parameters}
    words = {key: value for key, value in words.items() if value is not None and key.lower() not in given}
    return ";".join(f"{key}={_odbc_quoted(str(value))}" for key, value in {**words, **parameters}.items())


def _odbc_quoted(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}" if re.search(r"[;{}=]|^\s|\s$", value) else value
