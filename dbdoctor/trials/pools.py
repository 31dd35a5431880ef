"""The pools to try: a table with an entry each, made of a few measures that each have a price; pure.

A new pool is a new line in `_POSTGRESQL` or `_SQLSERVER`; a new measure is a function in the module of its product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan, Scale
from dbdoctor.trials import measures, measures_odbc, measures_postgresql
from dbdoctor.trials.engine_code import engine_lines
from dbdoctor.trials.measures import Measure

Make = Callable[[Scale], Measure]
Entry = tuple[str, str, tuple[Make, ...]]

_COMMON: tuple[Entry, ...] = (
    ("default", "SQLAlchemy's defaults", ()),
    ("pre-ping", "each connection tested at checkout", (measures.pre_ping,)),
    ("recycle-below", "connections replaced before the path drops them", (measures.recycle_below,)),
    ("recycle-above", "connections replaced, but after the path drops them", (measures.recycle_above,)),
    ("null-pool", "no pool: a login for each checkout", (measures.null_pool,)),
    ("lifo", "the connection used last is used first", (measures.lifo,)),
    ("keep-alive-thread", "a thread asks SELECT 1 through the pool", (measures.keep_alive_thread,)),
)

_POSTGRESQL: tuple[Entry, ...] = (
    ("keepalive-below", "TCP keepalives before the path's timeout", (measures_postgresql.keepalive_below,)),
    ("keepalive-above", "TCP keepalives after it, loss found before use", (measures_postgresql.keepalive_above,)),
    ("keepalive-late", "TCP keepalives after it, used before they tell", (measures_postgresql.keepalive_late,)),
    ("user-timeout", "a limit on data that nobody acknowledges", (measures_postgresql.user_timeout,)),
    (
        "pre-ping+user-timeout",
        "tested at checkout, and the test has a limit",
        (measures.pre_ping, measures_postgresql.user_timeout),
    ),
    (
        "pre-ping+keepalive-above",
        "tested at checkout, loss found before it",
        (measures.pre_ping, measures_postgresql.keepalive_above),
    ),
    (
        "pre-ping+keepalive-late",
        "tested at checkout, before keepalives tell",
        (measures.pre_ping, measures_postgresql.keepalive_late),
    ),
    (
        "keepalive-below+user-timeout",
        "keepalives in time, and a limit on unacknowledged data",
        (measures_postgresql.keepalive_below, measures_postgresql.user_timeout),
    ),
    (
        "recycle-below+user-timeout",
        "replaced in time, and a limit on unacknowledged data",
        (measures.recycle_below, measures_postgresql.user_timeout),
    ),
    (
        "belt-and-braces",
        "tested, replaced and kept alive in time, with a limit",
        (
            measures.pre_ping,
            measures.recycle_below,
            measures_postgresql.keepalive_below,
            measures_postgresql.user_timeout,
            measures_postgresql.connect_timeout,
        ),
    ),
    ("connect-timeout", "a limit on each login", (measures_postgresql.connect_timeout,)),
    ("statement-timeout", "the server ends what takes long", (measures_postgresql.statement_timeout,)),
    ("server-keepalive", "the server probes idle connections", (measures_postgresql.server_keepalive,)),
)

_SQLSERVER: tuple[Entry, ...] = (
    ("query-timeout", "a query timeout", (measures_odbc.query_timeout,)),
    (
        "pre-ping+query-timeout",
        "tested at checkout, and the test has a limit",
        (measures.pre_ping, measures_odbc.query_timeout),
    ),
    ("keepalive-below", "TCP keepalives before the path's timeout", (measures_odbc.keepalive_below,)),
    ("keepalive-late", "TCP keepalives after it", (measures_odbc.keepalive_late,)),
    ("session-recovery-off", "the driver does not reconnect by itself", (measures_odbc.recovery_off,)),
    (
        "pre-ping+session-recovery-off",
        "tested at checkout, and the driver does not reconnect by itself",
        (measures.pre_ping, measures_odbc.recovery_off),
    ),
    (
        "driver-manager-pooling",
        "replaced in time, over the driver manager's own pool",
        (measures.recycle_below, measures_odbc.driver_manager_pooling),
    ),
)

DEFAULT: Mapping[Product, tuple[str, ...]] = {
    Product.POSTGRESQL: (
        "default",
        "pre-ping",
        "recycle-above",
        "keepalive-late",
        "keep-alive-thread",
        "keepalive-below",
        "recycle-below",
        "pre-ping+user-timeout",
        "belt-and-braces",
        "null-pool",
    ),
    Product.SQLSERVER: (
        "default",
        "pre-ping",
        "recycle-above",
        "keep-alive-thread",
        "query-timeout",
        "pre-ping+query-timeout",
        "keepalive-below",
        "recycle-below",
        "session-recovery-off",
        "null-pool",
    ),
}
"""What is tried without being named, in the order in which it is best begun: what may hang lasts longest, so it is first."""


def pools(product: Product, scale: Scale, *, freetds: bool = False) -> dict[str, PoolPlan]:
    """Every pool of the table by its name, in seconds of the trial; the idle time of a trial is 2 s at least.

    Microsoft's driver keeps connections alive every 30 s unless it is told otherwise, `freetds` every 40 s whatever it is
    told; in a shortened trial that is shortened in proportion. With FreeTDS there are no pools with keepalives of their own.
    """
    table = _POSTGRESQL if product is Product.POSTGRESQL else _SQLSERVER
    plans: dict[str, PoolPlan] = {}
    for name, title, makes in (*_COMMON[:4], *table, *_COMMON[4:]):
        if freetds and name.startswith("keepalive"):
            continue
        parts = [make(scale) for make in makes]
        if product is Product.SQLSERVER:
            parts = measures_odbc.with_driver_defaults(parts, scale, freetds=freetds)
        plans[name] = plan_of(name, title, parts)
    return plans


def plan_of(name: str, title: str, parts: list[Measure]) -> PoolPlan:
    """The pool that has all these measures; it costs what they cost together."""
    changes: dict[str, Any] = {}
    arguments: dict[str, str | int] = {}
    real_settings: dict[str, object] = {}
    real_arguments: dict[str, str | int] = {}
    real: dict[str, str] = {}
    more: list[str] = []
    for part in parts:
        changes.update(part.plan)
        arguments.update(part.arguments)
        real_settings.update(part.settings)
        real_arguments.update(part.real_arguments)
        real.update(part.real)
        more += part.code
    return PoolPlan(
        name=name,
        title=title,
        connect_args=arguments,
        real=real,
        lines=engine_lines(real_settings, real_arguments, more),
        cost=sum(part.cost for part in parts),
        **changes,
    )
