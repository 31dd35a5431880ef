"""The pools that a verification runs: the current settings and the recommended ones as plans; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.trial import PoolPlan

NULL_POOL = "NullPool"
CURRENT, RECOMMENDED = "current", "recommended"
_ARGUMENTS = (
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    "timeout",
)  # fmt: skip
_FIELDS = ("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping", "pool_use_lifo")
_POOLS = (None, "QueuePool", "AsyncAdaptedQueuePool")


def recommended_plan(settings: Mapping[str, Any]) -> PoolPlan | None:
    """The settings that were recommended; None without a pool."""
    if "pool_size" not in settings:
        return None
    told = settings.get("connect_args") or {}
    arguments = {name: told[name] for name in _ARGUMENTS if name in told}
    fields = {name: settings[name] for name in _FIELDS if name in settings}
    return PoolPlan(RECOMMENDED, "the recommended settings", connect_args=arguments, **fields)


def null_plan(settings: Mapping[str, Any]) -> PoolPlan | None:
    """A connection for each checkout, where that is what was recommended."""
    if settings.get("poolclass") != NULL_POOL:
        return None
    told = settings.get("connect_args") or {}
    arguments = {name: told[name] for name in _ARGUMENTS if name in told}
    title = "a connection for each checkout"
    return PoolPlan(RECOMMENDED, title, pool_class=NULL_POOL, pool_size=0, max_overflow=0, connect_args=arguments)


def current_plan(settings: PoolSettings | None) -> PoolPlan | None:
    """The application's, SQLAlchemy's defaults where it states nothing; None where no size is known or there is no limit."""
    if settings is None or not settings.pool_size or settings.pool_class not in _POOLS:
        return None
    if settings.max_overflow is not None and settings.max_overflow < 0:
        return None
    fields = {name: getattr(settings, name) for name in _FIELDS if getattr(settings, name) is not None}
    return PoolPlan(CURRENT, "the application's own settings", **fields)
