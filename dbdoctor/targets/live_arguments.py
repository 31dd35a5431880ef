"""An engine's `connect_args` on top of its URL, as the engine's own driver would take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dbdoctor.model.secret import Secret
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
_LOGIN_TIMEOUTS = ("timeout", "login_timeout")


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
    parameters, secrets = dict(target.parameters), dict(target.secret_parameters)
    notes, warnings = list(target.notes), list(target.warnings)
    for name, value in arguments.items():
        lower = name.lower()
        if lower in ("uid", "user"):
            target = replace(target, user=str(value))
        elif lower in ("pwd", "password"):
            target = replace(target, password=Secret(str(value)))
        elif lower == "database":
            target = replace(target, database=str(value))
        elif lower in _LOGIN_TIMEOUTS and target.driver != "pymssql":
            notes.append(f"the application's login timeout is {value} s (`{name}` in connect_args)")
        elif lower == "connect_timeout":
            warnings.append(TargetWarning("unknown-driver-option", name, "timeout", fatal=False))
        elif lower == "keystoresecret":
            secrets[name] = Secret(str(value))
        elif lower not in _SQLSERVER_OWN and isinstance(value, str | int):
            parameters[name] = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return replace(
        target, parameters=parameters, secret_parameters=secrets, notes=tuple(notes), warnings=tuple(warnings)
    )
