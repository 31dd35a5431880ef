"""SQLAlchemy's URLs of SQL Server: `mssql+pyodbc` (host, data source name, `odbc_connect=`), its kin, and `+pymssql`."""

from __future__ import annotations

from collections.abc import Mapping

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects import odbc
from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Collector, Driver, probed_through
from dbdoctor.targets.dialects.shared.sqlserver import to_target
from dbdoctor.targets.dialects.shared.url import Url, split_url

_SQLALCHEMY_OWN = frozenset({"ansi", "unicode_results", "autocommit", "plugin", "charset"})
_PYODBC = Driver(
    "pyodbc",
    own={
        **{key: rule for key, rule in odbc.SQLSERVER.own.items() if key != "timeout"},
        "odbc_autotranslate": ("AutoTranslate", convert.same),
    },
    accepted=_SQLALCHEMY_OWN | {"odbc_connect", "timeout"},
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
    collector = Collector(driver)
    collector.options.update(_parts(url, driver))
    for key, value in url.query:
        if value:
            collector.take(key, value)
    options = collector.options
    if driver is _PYODBC:
        notes += _as_pyodbc(url, options)
    base = Target(Product.SQLSERVER, (), dialect=dialect, driver=name, notes=notes, warnings=tuple(collector.warnings))
    return to_target(options, base)


def _parts(url: Url, driver: Driver) -> dict[str, str]:
    """What stands before the `?`; without a database, pyodbc takes the host as an ODBC data source name."""
    port = url.ports.strip(",") if url.ports else None
    parts = {"Server": url.hosts, "Port": port, "UID": url.user, "PWD": url.password, "Database": url.database}
    if driver is _PYODBC and url.hosts and not url.database:
        parts = {"DSN": url.hosts, "UID": url.user, "PWD": url.password}
    return {name: value for name, value in parts.items() if value}


def _as_pyodbc(url: Url, options: dict[str, str]) -> tuple[str, ...]:
    """What SQLAlchemy adds for pyodbc, and what it does with the URL that people do not expect."""
    notes: list[str] = []
    if not options.get("UID") and "Authentication" not in options:
        options.setdefault("Trusted_Connection", "Yes")
    if "DSN" in options and url.ports:
        notes.append("a URL without a database names an ODBC data source: SQLAlchemy drops its port")
    elif "DSN" not in options and "Driver" not in options:
        notes.append("the URL names no `driver=`, which pyodbc needs unless it is given an ODBC data source name")
    if any(name.lower() == "timeout" for name, _ in url.query):
        notes.append(
            "`timeout` in the URL has no effect with ODBC: give `connect_args={'timeout': ...}` to create_engine"
        )
    return tuple(notes)
