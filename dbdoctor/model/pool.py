"""A connection pool as SQLAlchemy's own words describe it, and the processes that each hold one."""

from __future__ import annotations

from typing import NamedTuple


class PoolSettings(NamedTuple):
    """The pool of one process, as declared in a config file or read from a live engine; None is "not known".

    Durations are seconds. `pool_recycle` is -1 when connections are never recycled (SQLAlchemy's default).
    `pool_class` is the class's name, e.g. `QueuePool`, `NullPool`.
    """

    pool_size: int | None = None
    max_overflow: int | None = None
    pool_timeout: float | None = None
    pool_recycle: float | None = None
    pool_pre_ping: bool | None = None
    pool_use_lifo: bool | None = None
    pool_class: str | None = None
    processes: int | None = None
    replicas: int | None = None

    @property
    def most_connections(self) -> int | None:
        """How many sessions all processes together can open; None when the pool is unbounded or not known."""
        if self.pool_size is None or self.pool_size == 0 or self.max_overflow is None or self.max_overflow < 0:
            return None
        return (self.pool_size + self.max_overflow) * (self.processes or 1) * (self.replicas or 1)
