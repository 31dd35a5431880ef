"""More sessions than the declared pool allows

What it means
    The target's pool is known, from the config file (`pool_size`, `max_overflow`, `processes`, `replicas`) or from a live
    engine, and the application holds more sessions than it allows: either one process more than
    pool_size + max_overflow, or all of them together more than that times processes times replicas. Sessions count as the
    application's when they are of the target's role and database, and of its application name if the target sets one.

Why it matters
    A pool cannot exceed its own limit. So there are more pools than declared (an engine per request or per thread, more
    processes or replicas than you think, a pool copied by fork), or connections opened beside the pool.

What to do
    Count the engines in one process first; then the processes. If there are rightly more of them, say so in the config,
    and look whether the server's slots are enough for all of them at their limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life, PoolHistory
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import GroupKey, Verdict
from dbdoctor.model.pool import PoolSettings
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import group_of, longest_first, row, sessions_of

CODES = ("more-than-declared-pool",)


def judge(watched: Watched) -> Iterator[Judged]:
    """The processes, or the application as a whole, with more sessions than its pool allows."""
    settings = watched.target.pool
    if settings is None or settings.most_connections is None:
        return
    pools = [pool for pool in watched.history.pools.values() if _is_ours(pool.key, watched) and _lives(pool)]
    each = settings._replace(processes=None, replicas=None).most_connections
    assert each is not None
    beyond = [pool for pool in pools if pool.is_one_process and len(_lives(pool)) > each]
    for pool in beyond:
        yield _found(_lives(pool), each, "one process", watched.history.display_key(pool.key), settings, watched)
    together = [life for pool in pools for life in _lives(pool)]
    if not beyond and len(together) > settings.most_connections:
        shown = {watched.history.display_key(pool.key) for pool in pools}
        key = shown.pop() if len(shown) == 1 else None
        yield _found(together, settings.most_connections, "all processes together", key, settings, watched)


def _lives(pool: PoolHistory) -> list[Life]:
    return [life for life in pool.lives.values() if life.spared is None]


def _is_ours(key: GroupKey, watched: Watched) -> bool:
    target, facts = watched.target, watched.facts
    name = target.parameters.get("application_name")
    user = facts.user if facts is not None and facts.user else target.user
    database = facts.database if facts is not None and facts.database else target.database
    return key.user == user and key.database == database and name in (None, key.application)


def _found(
    lives: list[Life], allowed: int, whose: str, key: GroupKey | None, settings: PoolSettings, watched: Watched
) -> Judged:
    size, overflow = settings.pool_size, settings.max_overflow
    declared = f"pool_size {size} + max_overflow {overflow}"
    if allowed != (size or 0) + (overflow or 0):
        declared = f"({declared}) x {settings.processes or 1} processes x {settings.replicas or 1} replicas"
    name = f": {key.shown}" if key is not None else ""
    # Only where processes are declared, or the sessions are known to be of one, is there no other explanation.
    certain = key is not None and (key.process is not None or settings.processes is not None)
    finding = Finding(
        code="more-than-declared-pool",
        severity=Severity.ERROR if certain else Severity.WARNING,
        title=f"{len(lives)} sessions where {whose} may have {allowed}{name}",
        why=f"declared: {declared}; a pool does not exceed its limit, so there are more pools than declared, or "
        "connections opened beside the pool",
        fix="count the engines in one process, then the processes; create one engine a process and share it",
        evidence={"sessions": len(lives), "allowed": allowed, "pool_size": size, "max_overflow": overflow,
                  "processes": settings.processes, "replicas": settings.replicas},
        rows=tuple(row(life, watched.now, life.session.state or "") for life in longest_first(lives, watched.now)[:5]),
        group=group_of(key) if key is not None else None,
        sessions=sessions_of(lives),
    )  # fmt: skip
    verdict = Verdict.LEAK if certain else Verdict.SUSPECT
    return Judged(finding, key, verdict if key is not None else None, (), f"{len(lives)} where {allowed} are declared")
