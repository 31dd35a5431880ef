"""The pool keeps connections for longer than the path does

What it means
    `pool_recycle` is above the path's idle timeout, or off (-1).

Why it matters
    After a quiet while a checkout gives a connection that is gone.

What to do
    Set `pool_recycle` below the timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

# The page of its code is that of dbdoctor.rules.measured, which finds the same by a measurement.
CODES: tuple[str, ...] = ()
_DEFAULT = -1.0  # SQLAlchemy's: never


def judge(sized: Sized) -> Iterator[Finding]:
    """The current pool_recycle beside the shortest idle timeout that is known on the path.

    Where the current settings do not name it, it is SQLAlchemy's; where there are none, there is nothing to judge.
    """
    idle, named = sized.around.idle_timeout, sized.current.pool_recycle
    if not idle or sized.answer.current is None or sized.current.pool_class == "NullPool":
        return
    recycle = _DEFAULT if named is None else named
    if 0 <= recycle < idle:
        return
    never = "never replaces connections" + (" (pool_recycle is not set)" if named is None else "")
    what = f"replaces connections after {format_duration(recycle)}" if recycle >= 0 else never
    yield Finding(
        code="recycle-above-idle-timeout",
        severity=Severity.WARNING,
        title=f"the pool {what}, and {sized.around.idle_timeout_of} drops those idle for {format_duration(idle)}",
        why="after a quiet while a checkout gives a connection that is gone: pool_recycle counts from connecting, and is "
        "looked at only at checkout",
        fix="replace connections before the path drops them",
        command=sized.code("pool_recycle"),
        evidence={
            "pool_recycle_seconds": recycle,
            "is_default": named is None,
            "idle_timeout_seconds": idle,
            "of": sized.around.idle_timeout_of,
        },
    )
