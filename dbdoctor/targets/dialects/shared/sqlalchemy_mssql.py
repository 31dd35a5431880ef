"""SQLAlchemy's URLs of SQL Server: `mssql+pyodbc` (host, data source name, `odbc_connect=`), its kin, and `+pymssql`."""

from __future__ import annotations

from collections.abc import Mapping

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target, TargetWarning
from dbdoctor.targets.dialects import odbc
from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Collector, Driver, probed_through
from dbdoctor.targets.dialects.shared.odbc_meaning import NO_TIMEOUT, TIMEOUT_REMEDY, as_meant
from dbdoctor.targets.dialects.shared.sqlserver import to_target
from dbdoctor.targets.dialects.shared.url import Url, split_url

DRIVER_REMEDY = "driver=ODBC+Driver+18+for+SQL+Server"
_SQLALCHEMY_OWN = frozenset({"ansi", "unicode_results", "autocommit", "plugin", "charset"})
_PYODBC = Driver(
    "pyodbc",
    own={
        **odbc.SQLSERVER.own,
        "odbc_autotranslate": ("AutoTranslate", convert.same),
    },
    accepted=_SQLALCHEMY_OWN | {"odbc_connect"},
    strict=False,
    key=str.lower,
)
_PYMSSQL = Driver(
    "pymssql",
    own={
        "host": ("Server", convert.same),
        "server": ("Server", convert.same),
        "port": ("Port", convert.same),
        "user": ("UID", convert.same),
        "password": ("PWD", convert.same),
        "database": ("Database", convert.same),
        "login_timeout": ("connect_timeout", convert.positive_seconds),
        "appname": ("APP", convert.same),
        "tds_version": ("TDS_Version", convert.same),
        "encryption": ("Encryption", convert.same),
        "read_only": ("ApplicationIntent", convert.when_true("ReadOnly")),
    },
    accepted=frozenset(
        {"timeout", "charset", "as_dict", "conn_properties", "autocommit", "use_datetime2", "arraysize"}
    ),
    right_name=lambda name: (
        "login_timeout" if name in ("connect_timeout", "connection_timeout", "logintimeout") else None
    ),
)
_DRIVERS: Mapping[str, Driver] = {"pyodbc": _PYODBC, "aioodbc": _PYODBC, "mssqlpython": _PYODBC, "pymssql": _PYMSSQL}


def read_mssql(text: str, dialect: str) -> Target:
    """The Target that the URL names. Raises UsageError."""
    name = text.partition("://")[0].partition("+")[2] or "pyodbc"
    driver = _DRIVERS.get(name)
    if driver is None:
        raise UsageError(
            "the URL names a driver of SQL Server that dbdoctor does not know",
            help=f"write one of {', '.join(f'`mssql+{known}://`' for known in _DRIVERS)}",
        )
    url = split_url(text, driver.knows, plus=True)
    notes: tuple[str, ...] = () if name == "pyodbc" else (probed_through(name, "pyodbc"),)
    whole = [value for key, value in url.query if key == "odbc_connect"]
    if whole and driver is _PYODBC:
        if any(not driver.knows(key) for key, _ in url.query) or len(whole) > 1:
            raise UsageError(
                "the value of `odbc_connect` is not percent-encoded as a whole",
                help='write `urllib.parse.quote_plus("Driver={...};Server=...;...")` after `odbc_connect=`',
            )
        return odbc.target_of(whole[0], dialect, name, notes)
    if driver is _PYODBC:
        return _odbc(url, name, dialect, notes)
    collector = Collector(driver)
    collector.options.update(_parts(url))
    for key, value in url.query:
        if value:
            collector.take(key, value)
    warnings = tuple(collector.warnings)
    base = Target(Product.SQLSERVER, (), dialect=dialect, driver=name, notes=notes, warnings=warnings)
    return to_target(collector.options, base)


def _odbc(url: Url, name: str, dialect: str, notes: tuple[str, ...]) -> Target:
    """What SQLAlchemy makes an ODBC string of, with a warning for what it does not do that people expect of it.

    Without a database the host goes as the name of a data source: `complete_source` tells later whether there is one.
    """
    meant = as_meant((key, value) for key, value in url.query if value and key.lower() not in _SQLALCHEMY_OWN)
    collector = Collector(_PYODBC)
    collector.options.update(_parts(url))
    for key, value in meant.pairs:
        collector.take(key, value)
    options, warnings = collector.options, list(meant.warnings)
    if not options.get("UID") and "Authentication" not in options:
        options.setdefault("Trusted_Connection", "Yes")
    timeouts = [key for key, value in url.query if key.lower() == "timeout" and value]
    if timeouts and not any(warning.code == NO_TIMEOUT for warning in warnings):
        warnings.append(TargetWarning(NO_TIMEOUT, "timeout", TIMEOUT_REMEDY))
    if url.hosts and not url.database:
        options["DSN"] = url.hosts
    elif "Driver" not in options and name != "mssqlpython":
        warnings.append(TargetWarning("odbc-driver-not-named", "driver", DRIVER_REMEDY, fatal=True))
    base = Target(Product.SQLSERVER, (), dialect=dialect, driver=name, notes=notes, warnings=tuple(warnings))
    return to_target(options, base)


def _parts(url: Url) -> dict[str, str]:
    """What stands before the `?`."""
    port = url.ports.strip(",") if url.ports else None
    parts = {"Server": url.hosts, "Port": port, "UID": url.user, "PWD": url.password, "Database": url.database}
    return {name: value for name, value in parts.items() if value}
