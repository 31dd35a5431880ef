"""An engine's `connect_args` on top of its URL, as the engine's own driver would take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dbdoctor.model.target import Product, Target, TargetWarning
from dbdoctor.targets.dialects.shared.collect import Collector
from dbdoctor.targets.dialects.shared.python_drivers import DRIVERS

# What pyodbc, its asynchronous coat and pymssql take of their own beyond what goes into the connection string.
_SQLSERVER_OWN = frozenset(
    {
        "timeout", "autocommit", "ansi", "attrs_before", "readonly", "encoding", "loop", "executor", "dsn", "after_created",
        "as_dict", "charset", "conn_properties", "login_timeout", "tds_version", "appname", "encryption", "read_only",
        "use_datetime2", "arraysize", "native_uuid", "minsize", "maxsize", "echo",
    }
)  # fmt: skip


def with_arguments(target: Target, arguments: Mapping[str, Any], driver: str) -> Target:
    """The target as the driver sees it with these arguments, which win over the URL; what it refuses is a warning.

    Raises UsageError for a value that the driver refuses; no error quotes a value.
    """
    if not arguments:
        return target
    if target.product is not Product.POSTGRESQL:
        return _sqlserver(target, arguments)
    known = DRIVERS.get(driver)
    if known is None:
        return replace(
            target, notes=(*target.notes, f"connect_args of {driver} are not read: dbdoctor does not know it")
        )
    from dbdoctor.targets.libpq.check import check_options
    from dbdoctor.targets.libpq.options import to_options, to_target

    collector = Collector(known)
    notes: list[str] = []
    for name, value in arguments.items():
        if name == _TLS_NAME.get(driver) and not isinstance(value, str):
            collector.options["sslmode"] = _ssl_mode(value)
            notes.append("the engine's own TLS context is read for what it verifies, not for its certificates")
        elif name == "server_settings" and isinstance(value, Mapping) and known.knows(name):
            collector.options.update(_server_settings(value))
        elif value is not None:
            collector.take(name, _text(value))
    options = {**to_options(target), **collector.options}
    check_options(collector.options, dict.fromkeys(collector.options, "the engine's connect_args"))
    merged = to_target(options, target)
    return replace(
        merged, warnings=(*merged.warnings, *collector.warnings), notes=(*merged.notes, *dict.fromkeys(notes))
    )


def _text(value: Any) -> str:
    """An argument's value as text; what is no text (a class, a function) is taken for its name only."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        return ",".join(map(str, value))
    return ""


# Where a driver takes an SSLContext.
_TLS_NAME: Mapping[str, str] = {"asyncpg": "ssl", "pg8000": "ssl_context"}


def _ssl_mode(value: Any) -> str:
    """What an SSLContext, or a truth value in its place, verifies, in libpq's words. True is asyncpg's default context."""
    if value is True:
        return "verify-full"
    if not value:
        return "disable"
    if getattr(value, "check_hostname", False):
        return "verify-full"
    return "verify-ca" if int(getattr(value, "verify_mode", 0)) == 2 else "require"


def _server_settings(settings: Mapping[Any, Any]) -> dict[str, str]:
    """asyncpg's `server_settings` as libpq has them: `application_name`, and the rest as `-c name=value`."""
    found = {key: str(value) for key, value in settings.items() if key == "application_name"}
    others = [
        f"-c {key}=" + str(value).replace("\\", "\\\\").replace(" ", "\\ ")
        for key, value in settings.items()
        if key != "application_name"
    ]
    return {**found, "options": " ".join(others)} if others else found


def _sqlserver(target: Target, arguments: Mapping[str, Any]) -> Target:
    """What pyodbc, aioodbc, pymssql and mssql-python take; the ODBC ones with ODBC's rules for keywords."""
    from dbdoctor.targets.dialects.odbc import SQLSERVER
    from dbdoctor.targets.dialects.shared.odbc_meaning import as_meant, is_freetds
    from dbdoctor.targets.dialects.shared.sqlserver import to_options, to_target

    notes, pairs, warnings = list(target.notes), [], list(target.warnings)
    for name, value in arguments.items():
        lower = name.lower()
        if lower == "timeout" or (lower == "login_timeout" and target.driver == "pymssql"):
            notes.append(f"the application's login timeout is {value} s (`{name}` in connect_args)")
        elif lower in ("connect_timeout", "login_timeout"):
            warnings.append(TargetWarning("unknown-driver-option", name, "timeout", fatal=False))
        elif lower not in _SQLSERVER_OWN and isinstance(value, str | int):
            pairs.append((name, str(value)))
    meant = as_meant(pairs, arguments=True, freetds=is_freetds(target.parameters.get("Driver", "")))
    collector = Collector(SQLSERVER)
    for name, text in meant.pairs:
        collector.take(name, text)
    base = replace(target, notes=tuple(notes), warnings=(*warnings, *meant.warnings))
    return to_target({**to_options(target), **collector.options}, base)
