"""Requests that hold several connections can block each other until pool_timeout

What it means
    A request holds more than one connection at a time: a second session inside a first, or one kept by the framework while
    the code takes another. When every thread has got all but its last, no connection is left, and all of them wait for each
    other. That cannot happen with threads x (connections of a request - 1) + 1 connections or more; the pool has fewer.

Why it matters
    The application stands still under load, for pool_timeout (30 s by default), then many requests fail at once with
    `QueuePool limit of size ... reached`, while the database is idle.

What to do
    Let a request hold one connection at a time: pass the session on instead of opening another. Until then, a pool as large
    as the sum above.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

CODES = ("pool-deadlock",)


def judge(sized: Sized) -> Iterator[Finding]:
    """The current pool beside the floor."""
    held, threads, connections = sized.around.per_request, sized.around.threads, sized.connections
    floor = sized.answer.bounds.floor
    if held <= 1 or not threads or connections is None or connections >= floor:
        return
    yield Finding(
        code="pool-deadlock",
        severity=Severity.ERROR,
        title=f"{threads} threads that hold {held} connections each can block each other: the pool has {connections}",
        why=f"{floor} are needed so that at least one of them always gets its last ({sized.answer.bounds.floor_working})",
        fix="let a request hold one connection at a time; until then make the pool that large",
        command=sized.code("pool_size", "max_overflow"),
        evidence={"threads": threads, "connections_per_request": held, "connections": connections, "floor": floor},
    )
