"""The pool is larger than the process can ever use

What it means
    A process uses at most as many connections at once as it has threads (times what one request holds). pool_size +
    max_overflow are more than that: the rest is never opened.

Why it matters
    It does no harm by itself, since connections are opened when they are wanted. But whoever adds up what the services may
    ask for counts it, and it hides that the threads are the limit: raising the pool changes nothing.

What to do
    Set pool_size to the number of threads and max_overflow to 0: nobody ever waits for a connection then. Where more work
    at once is wanted, the threads are what to raise.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

CODES = ("pool-exceeds-threads",)


def judge(sized: Sized) -> Iterator[Finding]:
    """The current pool beside the threads that can use it."""
    threads, connections = sized.around.threads, sized.connections
    if not threads or connections is None:
        return
    usable = threads * max(1, sized.around.per_request)
    if connections <= usable:
        return
    yield Finding(
        code="pool-exceeds-threads",
        severity=Severity.INFO,
        title=f"a process can open {connections} connections, and its {threads} threads can use {usable}",
        why="what is beyond is never opened, but counts wherever the fleet's connections are added up",
        fix="make the pool as large as the threads can use, or run more threads if more work at once is wanted",
        command=sized.code("pool_size", "max_overflow"),
        evidence={"connections": connections, "threads": threads, "connections_per_request": sized.around.per_request},
    )
