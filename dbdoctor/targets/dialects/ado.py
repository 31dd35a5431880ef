"""ADO.NET connection strings, of Npgsql (PostgreSQL) and of SqlClient (SQL Server).

Quoting is DbConnectionStringBuilder's: `Password="a;b""c"`. Which of the two it is for, the keywords tell.
"""

from __future__ import annotations

import re
from dataclasses import replace

from dbdoctor.errors import UsageError
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.shared import convert, sqlserver
from dbdoctor.targets.dialects.shared.ado_keywords import NPGSQL, SQLCLIENT, plain
from dbdoctor.targets.dialects.shared.collect import Collector, probed_through
from dbdoctor.targets.dialects.shared.pairs import has_semicolon, quoted_pairs
from dbdoctor.targets.libpq import options as libpq
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

NAME = "ADO.NET connection string"

_LIST = re.compile(r"\s*[A-Za-z][A-Za-z _-]*=")
_ONLY_SQLCLIENT = frozenset({"datasource", "initialcatalog", "multipleactiveresultsets", "encrypt", "address", "addr"})
_ONLY_NPGSQL = frozenset({"host", "port", "username", "sslmode", "searchpath", "maximumpoolsize", "minimumpoolsize"})


def recognises(text: str) -> bool:
    """Whether this is a list with `;`, or one setting of a name that only ADO.NET has; and not libpq's form with a `;` in it."""
    if "://" in text.partition("=")[0] or not _LIST.match(text):
        return False
    first = plain(text.partition("=")[0])
    if not has_semicolon(text):
        return first in _ONLY_SQLCLIENT or (first in ("server", "userid") and "\t" not in text)
    return not _is_libpq(text)


def read(text: str) -> Target:
    """The Target that this string names. Raises UsageError."""
    pairs = list(quoted_pairs(text))
    names = {plain(name) for name, _ in pairs}
    if names & _ONLY_NPGSQL and not names & _ONLY_SQLCLIENT:
        target = _npgsql(pairs)
    else:
        target = _sqlclient(pairs)
        if not names & _ONLY_SQLCLIENT and not any("tcp:" in value or "\\" in value for _, value in pairs[:1]):
            note = "read as SQL Server's: for PostgreSQL write `Host=` instead of `Server=`"
            target = replace(target, notes=(*target.notes, note))
    return replace(target, pool=_pool(pairs))


def _is_libpq(text: str) -> bool:
    """Whether libpq would take it: two settings or more, all of which it knows."""
    from dbdoctor.targets.dialects.libpq_keyvalue import read_pairs

    try:
        names = [name for name, _ in read_pairs(text)]
    except UsageError:
        return False
    return len(names) > 1 and all(name in KNOWN_PARAMETERS for name in names)


def _npgsql(pairs: list[tuple[str, str]]) -> Target:
    collector = Collector(NPGSQL)
    for name, value in pairs:
        collector.take(name, value)
    options = collector.options
    hosts, ports = options.get("host", ""), []
    if ":" in hosts and not hosts.startswith(("/", "@")):
        split = [re.fullmatch(r"([^:\[\]]*):([0-9]*)", host) or host for host in hosts.split(",")]
        ports = ["" if isinstance(item, str) else item[2] for item in split]
        options["host"] = ",".join(item if isinstance(item, str) else item[1] for item in split)
    if any(ports):
        options["port"] = ",".join(port or options.get("port", "") for port in ports)
    options["host"] = re.sub(r"[\[\]]", "", options.get("host", ""))
    base = Target(
        Product.POSTGRESQL,
        (),
        dialect=NAME,
        driver="Npgsql",
        notes=(probed_through("Npgsql", "psycopg2"),),
        warnings=tuple(collector.warnings),
    )
    return libpq.to_target(options, base)


def _sqlclient(pairs: list[tuple[str, str]]) -> Target:
    collector = Collector(SQLCLIENT)
    for name, value in pairs:
        collector.take(name, value)
    base = Target(
        Product.SQLSERVER,
        (),
        dialect=NAME,
        driver="SqlClient",
        notes=(probed_through("SqlClient", "pyodbc"),),
        warnings=tuple(collector.warnings),
    )
    return sqlserver.to_target(collector.options, base)


def _pool(pairs: list[tuple[str, str]]) -> PoolSettings | None:
    """The pool that the string asks for, in SQLAlchemy's words; None when it says nothing of one."""
    said = {plain(name): value for name, value in pairs}
    pooling = said.get("pooling")
    if pooling is not None and not convert.boolean("Pooling", pooling):
        return PoolSettings(pool_class="NullPool")
    most = said.get("maximumpoolsize") or said.get("maxpoolsize")
    lifetime = said.get("connectionlifetime") or said.get("loadbalancetimeout")
    if not most and not lifetime:
        return None
    size = _whole("Maximum Pool Size", most)
    recycle = _whole("Connection Lifetime", lifetime)
    return PoolSettings(pool_size=size, max_overflow=0 if size else None, pool_recycle=recycle or None)


def _whole(name: str, value: str | None) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UsageError(f"`{name}` must be a whole number")
    return int(value)
