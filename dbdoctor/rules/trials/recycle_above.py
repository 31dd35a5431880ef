"""The pool keeps connections for longer than the path does

What it means
    `pool_recycle` is above the path's idle timeout, or off (-1), and the trial showed what that does.

Why it matters
    After a quiet while a checkout gives a connection that is gone.

What to do
    Set `pool_recycle` below the timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.trials._tried import CURRENT, Hit, Tried

# The page of its code is that of dbdoctor.rules.measured, which finds the same without a trial.
CODES: tuple[str, ...] = ()
_CODE = "recycle-above-idle-timeout"


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools that recycle too late and fail where a connection was idle for long; the user's own also if it never does."""
    hits = [hit for hit in tried.hits() if hit.fails and hit.is_idle_timeout and _too_late(hit, tried)]
    if not hits:
        return
    scale = tried.report.scale
    recycle = hits[0].plan.pool_recycle
    real = recycle * scale.factor if recycle >= 0 else -1
    what = f"replaces connections after {format_duration(real)}" if recycle >= 0 else "never replaces connections"
    limit = format_duration(scale.real)
    yield tried.finding(
        _CODE,
        Severity.ERROR if any(hit.hangs for hit in hits) else Severity.WARNING,
        hits,
        title=f"the pool {what}, and the path drops those idle for {limit}",
        why=f"a connection that was idle for {limit} is gone, and still not too old for the pool: pool_recycle counts "
        "from connecting, and is looked at only at checkout",
        fix="replace connections before the path drops them",
        command=tried.recycle_code,
        evidence={"pool_recycle_seconds": real, "idle_timeout_seconds": scale.real},
    )


def _too_late(hit: Hit, tried: Tried) -> bool:
    if hit.plan.pool_class == "NullPool":
        return False
    if hit.plan.pool_recycle < 0:
        return hit.plan.name == CURRENT
    return hit.plan.pool_recycle >= tried.report.scale.trial
