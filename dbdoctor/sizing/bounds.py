"""What bounds the connections of all pools: the server's slots, roles, poolers, workers, threads; each with its sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dbdoctor.model.server import ServerFacts
from dbdoctor.model.sizing import Bounds, Ceiling, Surroundings

RESERVE = 3  # sessions left for administrators with ordinary roles, and for tools like this one


def bounds_of(
    facts: ServerFacts | None,
    around: Surroundings,
    *,
    ours: int = 0,
    reserve: int = RESERVE,
    pooler_limit: int | None = None,
    cores: int | None = None,
) -> Bounds:
    """All that is known to bound the pools. `ours` are the fleet's own sessions among those in use now.

    `reserve` is kept free for administrators, `pooler_limit` is what a pooler admits for us (max_client_conn or its
    pool in session mode), `cores` the database's. What is not known bounds nothing, and is missing from the list.
    """
    ceilings = [*_server(facts, ours, reserve), *_pooler(pooler_limit, around), *_process(around)]
    least = deadlock_floor(around.threads, around.per_request)
    return Bounds(
        tuple(ceilings),
        floor=least or 1,
        floor_working=_floor_working(around),
        knee=2 * cores if cores else None,
        knee_working=f"2 x {cores} cores: where PostgreSQL 9.1 was fastest, a starting point" if cores else "",
    )


def deadlock_floor(threads: int | None, per_request: int) -> int | None:
    """Connections with which requests that hold several each cannot all wait for their last one; None: not known.

    Threads times (connections of a request less one) plus one. One thread, or one connection each, needs no more than
    that one request.
    """
    if per_request <= 1:
        return 1
    return threads * (per_request - 1) + 1 if threads else None


def worker_threads(cores: int) -> int:
    """SQL Server's default of max worker threads on 64 bits: 512, and 16 (above 64 cores 32) for each core over 4."""
    if cores <= 4:
        return 512
    return 512 + (16 if cores <= 64 else 32) * (cores - 4)


def _server(facts: ServerFacts | None, ours: int, reserve: int) -> Iterator[Ceiling]:
    if facts is None:
        return
    if facts.slots is not None:
        slots = facts.slots
        others = max(0, slots.used - ours)
        yield Ceiling(
            "the server's slots",
            max(0, slots.limit - slots.reserved - others - reserve),
            f"{slots.limit} - {slots.reserved} reserved - {others} used by others - {reserve} for administrators",
        )
    for limit in facts.limits:
        others = max(0, (limit.used or 0) - ours)
        yield Ceiling(
            f"the {limit.of} {limit.name}",
            max(0, limit.limit - others),
            f"{limit.limit} - {others} used by others" if others else f"its limit of {limit.limit}",
        )
    workers: Any = facts.extra.get("max_workers")  # SQL Server's alone
    if _counts(workers):
        yield Ceiling(
            "the server's workers",
            int(workers),
            f"max workers {workers}: each query that runs takes one or more, whatever the number of sessions",
        )


def _counts(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


def _pooler(limit: int | None, around: Surroundings) -> Iterator[Ceiling]:
    if limit is not None:
        yield Ceiling(f"the pooler {around.pooler or ''}".rstrip(), limit, f"it admits {limit} of our connections")


def _process(around: Surroundings) -> Iterator[Ceiling]:
    if around.threads:
        most = around.threads * max(1, around.per_request)
        working = f"{around.threads} threads, {around.per_request} connections each at most"
        yield Ceiling("the threads of a process", most, working, per_process=True)


def _floor_working(around: Surroundings) -> str:
    if around.per_request <= 1:
        return "a request holds one connection at a time"
    if not around.threads:
        return f"a request holds {around.per_request} connections at once, but how many threads there are is not known"
    held = around.per_request
    return f"{around.threads} threads x ({held} connections each - 1) + 1, or all could wait for their last one"
