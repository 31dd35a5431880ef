"""Reading JDBC URLs, of pgjdbc (`jdbc:postgresql://...`) and of Microsoft's driver (`jdbc:sqlserver://...`).

Both drivers pass over the properties they do not know.
"""

from __future__ import annotations

import re

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.shared import sqlserver
from dbdoctor.targets.dialects.shared.collect import Collector, probed_through
from dbdoctor.targets.dialects.shared.jdbc_properties import MSSQL_JDBC, PGJDBC
from dbdoctor.targets.dialects.shared.pairs import braced_pairs
from dbdoctor.targets.dialects.shared.percent import decode
from dbdoctor.targets.dialects.shared.url import split_netloc
from dbdoctor.targets.libpq.options import to_target

_POSTGRESQL = re.compile(
    r"jdbc:postgresql:(?://(?P<hosts>[^/?]*))?(?P<slash>/?)(?P<database>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL
)
_SQLSERVER = re.compile(r"jdbc:sqlserver://(?P<server>[^;]*)(?P<properties>.*)", re.DOTALL)
_SERVER = re.compile(r"(?P<host>\[[^\]]*\]|[^:\\]*)(?:\\(?P<instance>[^:]*))?(?::(?P<port>.*))?", re.DOTALL)


def read_jdbc(text: str, dialect: str) -> Target:
    """The Target that this URL names. Raises UsageError."""
    text = re.sub(r"\A[^/;?]*", lambda start: start[0].lower() if "//" in text else start[0], text, count=1)
    postgresql = _POSTGRESQL.fullmatch(text)
    if postgresql:
        return _postgresql(postgresql, dialect)
    mssql = _SQLSERVER.fullmatch(text)
    if mssql:
        return _sqlserver(mssql, dialect)
    raise UsageError(
        "this JDBC URL is not of a product that dbdoctor knows",
        help="PostgreSQL (`jdbc:postgresql://`) and SQL Server (`jdbc:sqlserver://`) are supported",
    )


def _postgresql(shape: re.Match[str], dialect: str) -> Target:
    hosts, ports = split_netloc(shape["hosts"] or "")
    query = [item for item in (shape["query"] or "").split("&") if item]
    names_known = all(PGJDBC.knows(item.partition("=")[0]) for item in query)
    if "@" in hosts + ports + shape["database"] or ("@" in "".join(query) and not names_known):
        raise _has_userinfo("?user=app&password=...")
    if "=" in hosts + ports + shape["database"]:  # a password that ended up in a name would be shown with it
        raise UsageError(
            "this JDBC URL has settings where its host or database should be",
            help="write them after `?`, with `&` between: `jdbc:postgresql://db1/shop?user=app&password=...`; "
            "a `=` in a database's name is `%3D`",
        )
    collector = Collector(PGJDBC)
    collector.options.update({"host": hosts or "localhost", "port": ports.strip(",") and ports})
    if shape["database"]:
        collector.options["dbname"] = decode(shape["database"], plus=True)
    for item in query:
        collector.take(*_property(item))
    options = {name: value for name, value in collector.options.items() if value}
    notes = (probed_through("pgjdbc", "psycopg2"), *_skipped(collector))
    base = Target(Product.POSTGRESQL, (), dialect=dialect, driver="pgjdbc", notes=notes)
    return to_target(options, base)


def _property(item: str) -> tuple[str, str]:
    """pgjdbc takes a name alone for a property without a value (`?ssl`)."""
    name, equals, value = item.partition("=")
    if not equals and not PGJDBC.knows(name):
        raise UsageError(
            "the part of the URL after `?` is not a list of `name=value` with `&` between them",
            help="write for example `?user=app&password=...`; an `&` in a value is `%26`, a `@` is `%40`",
        )
    return decode(name, plus=True), decode(value, plus=True)


def _sqlserver(shape: re.Match[str], dialect: str) -> Target:
    written = shape["server"].rstrip("/")
    if "@" in written:
        raise _has_userinfo(";user=app;password=...")
    server = _SERVER.fullmatch(written)
    collector = Collector(MSSQL_JDBC)
    for name, value in braced_pairs(shape["properties"]):
        collector.take(name, value)
    options = collector.options
    if server and server["host"]:
        options["Server"] = server["host"]
    if server and server["port"]:
        options["Port"] = server["port"]
    instance = (server["instance"] if server else None) or options.pop("instance", None)
    options.pop("instance", None)
    options.setdefault("Server", "localhost")
    if instance:
        options["Server"] += f"\\{instance}"
    notes = (probed_through("mssql-jdbc", "pyodbc"), *_skipped(collector))
    base = Target(Product.SQLSERVER, (), dialect=dialect, driver="mssql-jdbc", notes=notes)
    return sqlserver.to_target(options, base)


def _has_userinfo(right: str) -> UsageError:
    return UsageError("a JDBC URL has no `user:password@` before the host", help=f"write `{right}` at the end")


def _skipped(collector: Collector) -> tuple[str, ...]:
    names = [f"`{name}`" for name in collector.skipped if name]
    if not collector.skipped:
        return ()
    what = ", ".join(names) if len(names) == len(collector.skipped) else "some properties"
    return (f"the driver does not know {what}, and passes over what it does not know",)
