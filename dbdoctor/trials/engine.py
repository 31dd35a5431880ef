"""From a pool's plan to a real SQLAlchemy engine whose connections go through the relay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Words:
    """What an application asks in one product's words."""

    def __init__(self, session: str, sleep: str, harmless_write: str | None) -> None:
        self.session = session
        self._sleep = sleep
        self.harmless_write = harmless_write

    def sleep(self, seconds: float) -> str:
        """A statement that takes so long."""
        hours, rest = divmod(seconds, 3600)
        minutes, rest = divmod(rest, 60)
        return self._sleep.format(seconds=f"{seconds:.3f}", clock=f"{hours:02.0f}:{minutes:02.0f}:{rest:06.3f}")


# The write changes nothing, needs no right, and is refused where nothing may be written (25006; tried on 15 and 18).
WORDS = {
    Product.POSTGRESQL: Words(
        "SELECT pg_backend_pid()", "SELECT pg_sleep({seconds})", "DROP TABLE IF EXISTS pg_temp.dbdoctor_trial"
    ),
    Product.SQLSERVER: Words("SELECT @@SPID", "WAITFOR DELAY '{clock}'", None),
}


def build_engine(product: Product, connect: Mapping[str, Any], plan: PoolPlan) -> Engine:
    """The engine of a plan; `connect` are the driver's arguments, those of the plan included."""
    import sqlalchemy
    from sqlalchemy import pool as pools

    url, arguments = _url(product, connect)
    pool_class = getattr(pools, plan.pool_class)
    sized: dict[str, Any] = {}
    if issubclass(pool_class, pools.QueuePool):
        sized = {
            "pool_size": plan.pool_size,
            "max_overflow": plan.max_overflow,
            "pool_timeout": plan.pool_timeout,
            "pool_use_lifo": plan.pool_use_lifo,
        }
    engine = sqlalchemy.create_engine(
        url,
        connect_args=arguments,
        poolclass=pool_class,
        pool_recycle=plan.pool_recycle,
        pool_pre_ping=plan.pool_pre_ping,
        **sized,
    )
    if plan.query_timeout is not None:
        _set_query_timeout(engine, plan.query_timeout)
    return engine


def merge_options(*parts: object) -> str:
    """libpq's `options` of several sources as one."""
    return " ".join(str(part) for part in parts if part)


def _url(product: Product, connect: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    from sqlalchemy import URL

    if product is Product.POSTGRESQL:
        return URL.create("postgresql+psycopg2"), dict(connect)
    arguments = dict(connect)
    text = arguments.pop("odbc_connect")
    return URL.create("mssql+pyodbc", query={"odbc_connect": text}), arguments


def _set_query_timeout(engine: Engine, seconds: float) -> None:
    from sqlalchemy import event

    def set_it(connection: Any, _record: Any) -> None:
        connection.timeout = round(seconds)

    event.listen(engine, "connect", set_it)
