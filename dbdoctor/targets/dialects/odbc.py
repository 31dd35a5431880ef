"""ODBC connection strings (`Driver={ODBC Driver 18 for SQL Server};Server=db1,1433;...`) and `DSN=name`.

Of SQL Server's drivers, and of PostgreSQL's psqlODBC. Facts: the keywords that Microsoft's driver 18 and FreeTDS take;
both ignore the ones they do not know.
"""

from __future__ import annotations

import re

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.libpq_keyvalue import read_pairs
from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Collector, Driver, probed_through
from dbdoctor.targets.dialects.shared.odbc_meaning import as_meant
from dbdoctor.targets.dialects.shared.pairs import braced_pairs
from dbdoctor.targets.dialects.shared.sqlserver import ODBC_KEYWORDS, to_target
from dbdoctor.targets.libpq import options as libpq
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

NAME = "ODBC connection string"

_MARK = re.compile(r"(?:\A|;)\s*(driver|dsn|filedsn)\s*=", re.IGNORECASE)

SQLSERVER = Driver(
    "pyodbc",
    own={key: (name, convert.same) for key, name in ODBC_KEYWORDS.items()},
    strict=False,
    key=str.lower,
)
"""The keywords of SQL Server's ODBC drivers."""
_PSQLODBC = Driver(
    "psqlODBC",
    own={
        "server": ("host", convert.same),
        "servername": ("host", convert.same),
        "port": ("port", convert.same),
        "uid": ("user", convert.same),
        "username": ("user", convert.same),
        "user": ("user", convert.same),
        "pwd": ("password", convert.same),
        "password": ("password", convert.same),
        "database": ("dbname", convert.same),
        "sslmode": ("sslmode", convert.same),
    },
    accepted=frozenset(
        {"driver", "dsn", "description", "readonly", "protocol", "fetch", "connsettings", "bi", "debug"}
    ),
    strict=False,
    key=str.lower,
)


def recognises(text: str) -> bool:
    """Whether a driver or a data source is named."""
    return "://" not in text.partition("=")[0] and _MARK.search(text) is not None


def read(text: str) -> Target:
    """The Target that this string names. Raises UsageError."""
    return target_of(text, NAME, None)


def target_of(text: str, dialect: str, driver: str | None, notes: tuple[str, ...] = ()) -> Target:
    """The Target of an ODBC string, said to be written in `dialect` for `driver`. Raises UsageError."""
    pairs = [(name, value) for name, value in braced_pairs(text)]
    named = next((value for name, value in pairs if name.lower() == "driver"), "")
    if re.search(r"postgres|psqlodbc", named, re.IGNORECASE):
        return _postgresql(pairs, dialect)
    meant = as_meant(pairs)
    collector = Collector(SQLSERVER)
    for name, value in meant.pairs:
        collector.take(name, value)
    base = Target(Product.SQLSERVER, (), dialect=dialect, driver=driver, notes=notes, warnings=meant.warnings)
    return to_target(collector.options, base)


def _postgresql(pairs: list[tuple[str, str]], dialect: str) -> Target:
    collector = Collector(_PSQLODBC)
    options: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() == "pqopt":
            options.update(read_pairs(value))
        else:
            collector.take(name, value)
    if any(name not in KNOWN_PARAMETERS for name in options):
        raise UsageError("`pqopt` has a parameter that libpq does not know")
    notes = (probed_through("psqlODBC", "psycopg2"),)
    base = Target(Product.POSTGRESQL, (), dialect=dialect, driver="psqlODBC", notes=notes)
    return libpq.to_target({**options, **collector.options}, base)
