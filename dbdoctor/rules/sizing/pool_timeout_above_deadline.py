"""The pool lets checkouts wait for longer than their caller does

What it means
    pool_timeout is how long a checkout waits for a connection before it fails; 30 s unless set. The caller (a load
    balancer, the worker's own timeout, a client) gives up sooner.

Why it matters
    Nobody reads the answer any more, but the thread still waits, and then does the work in vain; behind it others wait. And
    the error that would have said why is never seen: the caller's timeout hides `QueuePool limit ... reached`.

What to do
    Set pool_timeout well below the caller's deadline, so that there is time left for the work, or for an answer that says
    so.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

CODES = ("pool-timeout-above-deadline",)
_DEFAULT = 30.0


def judge(sized: Sized) -> Iterator[Finding]:
    """The current pool_timeout, or SQLAlchemy's where the current settings do not name one."""
    deadline = sized.around.deadline
    if deadline is None or sized.answer.current is None or sized.current.pool_class == "NullPool":
        return
    named = sized.current.pool_timeout
    timeout = _DEFAULT if named is None else named
    if timeout < deadline:
        return
    default = " (the default)" if named is None else ""
    yield Finding(
        code="pool-timeout-above-deadline",
        severity=Severity.WARNING,
        title=f"a checkout waits up to {format_duration(timeout)}{default}, and its caller up to {format_duration(deadline)}",
        why="who waits longer than the caller works in vain, and the pool's own error is never seen",
        fix="let the pool give up first",
        command=sized.code("pool_timeout"),
        evidence={"pool_timeout_seconds": timeout, "deadline_seconds": deadline, "is_default": named is None},
    )
