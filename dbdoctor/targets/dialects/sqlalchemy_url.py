"""SQLAlchemy URLs that name a driver (`postgresql+asyncpg://`), and `mssql://`.

Source: `make_url` and the dialects' `create_connect_args` of SQLAlchemy 2.1, compared with them by a test.
"""

from __future__ import annotations

import re

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects import libpq_uri
from dbdoctor.targets.dialects.shared.collect import Collector, Driver, probed_through
from dbdoctor.targets.dialects.shared.python_drivers import ASYNCPG, DRIVERS, PG8000
from dbdoctor.targets.dialects.shared.url import split_url
from dbdoctor.targets.libpq.options import to_target

NAME = "SQLAlchemy URL"

_SCHEME = re.compile(r"(?:(postgres(?:ql)?)\+(\w+)|mssql(?:\+\w+)?)://")


def recognises(text: str) -> bool:
    """Whether this is a URL with a driver's name in it, or one of SQL Server."""
    return _SCHEME.match(text) is not None


def read(text: str) -> Target:
    """The Target that this URL names. Raises UsageError."""
    scheme = _SCHEME.match(text)
    if scheme is None or not scheme[1]:
        from dbdoctor.targets.dialects.shared.sqlalchemy_mssql import read_mssql

        return read_mssql(text, NAME)
    driver = DRIVERS.get(scheme[2])
    if driver is None:
        raise UsageError(
            "the URL names a driver of PostgreSQL that dbdoctor does not know",
            help=f"write `postgresql://`, or one of {', '.join(f'`postgresql+{name}://`' for name in DRIVERS)}",
        )
    return _postgresql(text, scheme[2], driver)


def _postgresql(text: str, name: str, driver: Driver) -> Target:
    url = split_url(text, driver.knows, plus=True)
    if url.ports and "," in url.ports and url.ports.strip(","):
        raise UsageError(
            "SQLAlchemy does not take several hosts with ports before the `/`",
            help="write them after the `?`: `postgresql+psycopg2:///database?host=db1:5432&host=db2:5433`",
        )
    collector = Collector(driver)
    query = [(key, value) for key, value in url.query if value]
    options = dict(libpq_uri.collect_url(url, query, collector))
    if not options.get("port", "").strip(","):
        options.pop("port", None)
    if driver is PG8000:
        # Its own defaults: TCP on this machine, and no TLS unless asked for.
        options.setdefault("host", "localhost")
        options.setdefault("sslmode", "disable")
    elif driver is ASYNCPG:
        # It refuses the name, and the warning says so; what the user wants is plain all the same.
        options.update({key: value for key, value in query if key == "sslmode"})
    notes = () if name == "psycopg2" else (probed_through(name, "psycopg2"),)
    base = Target(Product.POSTGRESQL, (), dialect=NAME, driver=name, notes=notes, warnings=tuple(collector.warnings))
    return to_target(options, base)
