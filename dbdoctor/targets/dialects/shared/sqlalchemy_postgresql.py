"""SQLAlchemy's URLs of PostgreSQL that name a driver (`postgresql+asyncpg://`)."""

from __future__ import annotations

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects import libpq_uri
from dbdoctor.targets.dialects.shared.collect import Collector, probed_through
from dbdoctor.targets.dialects.shared.python_drivers import ASYNCPG, DRIVERS, PG8000
from dbdoctor.targets.dialects.shared.url import split_url
from dbdoctor.targets.libpq.options import to_target


def read_postgresql(text: str, name: str, dialect: str) -> Target:
    """The Target that the URL names, for the driver of this name. Raises UsageError."""
    driver = DRIVERS.get(name)
    if driver is None:
        raise UsageError(
            "the URL names a driver of PostgreSQL that dbdoctor does not know",
            help=f"write `postgresql://`, or one of {', '.join(f'`postgresql+{known}://`' for known in DRIVERS)}",
        )
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
    base = Target(Product.POSTGRESQL, (), dialect=dialect, driver=name, notes=notes, warnings=tuple(collector.warnings))
    return to_target(options, base)
