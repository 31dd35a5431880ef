"""The server ends idle sessions before the pool replaces them

What it means
    `idle_session_timeout` is set for this role: the server ends a session that waits that long for the next
    statement. The pool keeps connections longer than that, because `pool_recycle` is off (-1, SQLAlchemy's default) or
    longer, and it does not test them at checkout.

Why it matters
    After a quiet hour the pool hands out connections that the server has closed. The first statement on each fails with
    `server closed the connection unexpectedly`; the reason (SQLSTATE 57P05) is only in the server's log.

What to do
    Let the pool replace connections before the server ends them, and test them at checkout:

        create_engine(url, pool_recycle=240, pool_pre_ping=True)

    pool_recycle is in seconds since connecting, and is looked at only at checkout. Or take the server's timeout away
    for the application's role, if it was meant for people:

        ALTER ROLE "app" SET idle_session_timeout = 0;
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.rules._common import unseen

CODES = ("idle-session-timeout-below-recycle",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """The server's idle timeout against the pool's recycling; behind a pooler it meets the pooler's sessions."""
    if target.product is not Product.POSTGRESQL or facts.pooler:
        return
    if not facts.settings:
        yield unseen("idle-session-timeout-below-recycle", facts, "idle_session_timeout")
        return
    limit = facts.settings.get("idle_session_timeout", 0.0)
    if limit <= 0 or (target.pool and _survives(target.pool, limit)):
        return
    recycle = max(1, int(limit * 0.8))
    yield Finding(
        code="idle-session-timeout-below-recycle",
        # Without a declared pool it is only a possibility.
        severity=Severity.WARNING if target.pool else Severity.INFO,
        title=f"the server ends sessions idle for {format_duration(limit)}, and {_pool(target.pool)}",
        why=f"after {format_duration(limit)} without use, a checkout gives a connection that the server has closed, and "
        "its first statement fails",
        fix="recycle connections before the server ends them, and test them at checkout",
        command=f"create_engine(url, pool_recycle={recycle}, pool_pre_ping=True)",
        evidence={
            "idle_session_timeout_seconds": limit,
            "pool_recycle_seconds": target.pool.pool_recycle if target.pool else None,
        },
    )


def _survives(pool: PoolSettings, limit: float) -> bool:
    """Whether no checkout can give a session that the server ended: recycled before, tested, or never pooled."""
    if pool.pool_class == "NullPool" or pool.pool_pre_ping:
        return True
    return pool.pool_recycle is not None and 0 <= pool.pool_recycle < limit


def _pool(pool: PoolSettings | None) -> str:
    if pool is None:
        return "a pool keeps them longer by default"
    if pool.pool_recycle is None or pool.pool_recycle < 0:
        return "the pool never recycles its connections"
    return f"the pool recycles its connections after {format_duration(pool.pool_recycle)}"
