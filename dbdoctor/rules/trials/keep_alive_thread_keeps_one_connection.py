"""A keep-alive thread keeps a connection alive, and not the pool

What it means
    A thread of the application asks `SELECT 1` through the pool every few minutes. Each time it takes one connection: in
    a queue (SQLAlchemy's default) the one that has waited longest, so that each of N is used every N times the interval;
    in a stack (`pool_use_lifo=True`) the same one each time. The others idle, and the path drops them.

Why it matters
    It works in a test with one connection, and fails with the pool of production: of several requests after a quiet
    while one is served, and the others fail or hang.

What to do
    Let the driver keep every connection alive, where the path counts TCP keepalives as traffic:

        create_engine(url, connect_args={
            "keepalives_idle": 60, "keepalives_interval": 10,
            "keepalives_count": 3,
        })

    or replace connections in time (`pool_recycle` below the path's timeout), which needs no thread.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.trials._tried import Tried

CODES = ("keep-alive-thread-keeps-one-connection",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools with such a thread, of which some requests were served and others were not."""
    hits = [
        hit
        for hit in tried.hits()
        if hit.plan.ping_every and hit.plan.threads > 1 and hit.fails and hit.is_idle_timeout
    ]
    if not hits:
        return
    plan = hits[0].plan
    factor = tried.report.scale.factor
    every = (plan.ping_every or 0.0) * factor
    limit = format_duration(tried.report.scale.real)
    yield tried.finding(
        "keep-alive-thread-keeps-one-connection",
        Severity.WARNING,
        hits,
        title=f"a thread that asks every {format_duration(every)} does not keep {plan.threads} connections alive",
        why=f"each time it uses one connection; with {plan.threads} in the pool each is used every "
        f"{format_duration(every * plan.threads)}, and the path drops what is idle for {limit}",
        fix="let keepalives or pool_recycle look after every connection, and drop the thread",
        command=tried.recycle_code,
        evidence={
            "ping_every_seconds": round(every, 3),
            "connections": plan.threads,
            "idle_timeout_seconds": tried.report.scale.real,
        },
    )
