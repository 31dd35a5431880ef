"""libpq URIs: `postgresql://user:password@host1:5432,host2:5433/database?target_session_attrs=read-write`.

SQLAlchemy's plain URLs have the same scheme, so what only SQLAlchemy takes (`?host=h1:5432&host=h2:5433`, a second `=` in
a value) is taken as well. Source: conninfo_uri_parse_options of libpq's fe-connect.c, compared with libpq by a test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Collector, Driver
from dbdoctor.targets.dialects.shared.url import Url, split_url
from dbdoctor.targets.libpq.options import to_target

NAME = "libpq URI"

_SCHEMES = ("postgresql://", "postgres://")
# SQLAlchemy's own pattern for a host with a port in `?host=`.
_HOST_AND_PORT = r"(?a)([A-Za-z0-9.-]*):([0-9]*)"


def _ssl(_name: str, value: str) -> str:
    """libpq takes JDBC's `ssl=true`, and no other value of `ssl`."""
    if value != "true":
        raise UsageError(
            "`ssl` must be `true` in a libpq URI", help="write `sslmode=require`, or another mode of libpq"
        )
    return "require"


_LIBPQ = Driver(None, own={"ssl": ("sslmode", convert.same)}, takes_libpq=True)


def recognises(text: str) -> bool:
    """Whether this is a URL of PostgreSQL's own scheme."""
    return text[:13].lower().startswith(_SCHEMES)


def read(text: str) -> Target:
    """The Target that this URI names. Raises UsageError."""
    options, collector = read_options(text)
    base = Target(Product.POSTGRESQL, (), dialect=NAME, warnings=tuple(collector.warnings))
    return to_target(options, base)


def read_options(text: str) -> tuple[dict[str, str], Collector]:
    """libpq's options as the URI has them, and what was noticed. Raises UsageError."""
    url = split_url(text, _LIBPQ.knows)
    collector = Collector(_LIBPQ)
    query = [(name, value) for name, value in url.query if name != "ssl"]
    query += [("sslmode", _ssl(name, value)) for name, value in url.query if name == "ssl"]
    return collect_url(url, query, collector), collector


def collect_url(url: Url, query: Sequence[tuple[str, str]], collector: Collector) -> dict[str, str]:
    """The options of a URL: what stands before the `?`, replaced by what stands after it."""
    parts = {"user": url.user, "password": url.password, "host": url.hosts, "port": url.ports, "dbname": url.database}
    collector.options.update({name: value for name, value in parts.items() if value})
    hosts = [value for name, value in query if name == "host"]
    for name, value in query:
        if name != "host":
            collector.take(name, _unplussed(value) if name == "options" else value)
    options = collector.options
    if hosts:
        options.update(_query_hosts(hosts, has_port=any(name == "port" for name, _ in query)))
    return options


def _query_hosts(values: list[str], *, has_port: bool) -> dict[str, str]:
    """`host=a,b` as libpq has it, or `host=a:1&host=b:2` as SQLAlchemy has it."""
    matched = [re.fullmatch(_HOST_AND_PORT, value) for value in values]
    if (len(values) == 1 and matched[0] is None) or has_port:
        return {"host": ",".join(values)}
    options = {"host": ",".join(match[1] if match else value for match, value in zip(matched, values, strict=True))}
    if any(matched):
        options["port"] = ",".join(match[2] if match else "" for match in matched)
    return options


def _unplussed(value: str) -> str:
    """`-c+name=value`, as URLs for SQLAlchemy have it: libpq keeps the `+`, and then no server takes such an option."""
    return value.replace("+", " ") if value.startswith("-c+") else value
