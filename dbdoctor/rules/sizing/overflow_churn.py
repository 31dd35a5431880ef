"""Connections are opened and thrown away again and again

What it means
    Beyond pool_size the pool opens overflow connections, and closes each when it is given back while pool_size idle ones
    are there. The recorded demand exceeds pool_size so often that connections are opened all the time.

Why it matters
    Each costs a login, milliseconds where a checkout takes microseconds, paid by the request that needs it; and the server
    starts a process for each (PostgreSQL). Under load this is work at the worst time.

What to do
    The same number of connections with more of them in pool_size and fewer in max_overflow: it is the sum that the server
    sees at the peak, and pool_size that stays open.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

CODES = ("overflow-churn",)
_SHARE = 0.01  # of the checkouts: then logins are part of p99


def judge(sized: Sized) -> Iterator[Finding]:
    """What a simulation of the current pool over the recorded demand opened."""
    now = sized.answer.current_prediction
    if now is None or now.connects_share < _SHARE:
        return
    current = sized.current
    yield Finding(
        code="overflow-churn",
        severity=Severity.WARNING,
        title=f"{now.connects_share:.1%} of the checkouts pay for a new connection, {now.connects_per_second:.1f} a second "
        "in the busiest part",
        why=f"pool_size={current.pool_size} is exceeded all the time, and what is opened beyond it is closed after one use",
        fix="keep more of the same connections open: a larger pool_size and a smaller max_overflow",
        command=sized.code("pool_size", "max_overflow"),
        evidence={
            "pool_size": current.pool_size,
            "max_overflow": current.max_overflow,
            "connects_per_second": now.connects_per_second,
            "connects_share": now.connects_share,
            "connects": now.connects,
        },
    )
