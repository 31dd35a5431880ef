"""What bounds the connections of all pools: the server's slots, roles, poolers, workers, threads; each with its sum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dbdoctor.model.server import ServerFacts
from dbdoctor.model.sizing import Bounds, Ceiling, PoolerLimits, Surroundings

RESERVE = 3  # sessions left for administrators with ordinary roles, and for tools like this one
_QUEUES = "a request that finds none waits for one, whatever the number of sessions"
_REFUSES = "a request that finds none is refused with 10928, whatever the number of sessions"


def bounds_of(
    facts: ServerFacts | None,
    around: Surroundings,
    *,
    ours: int = 0,
    reserve: int = RESERVE,
    pooler: PoolerLimits | None = None,
    cores: int | None = None,
    sharing: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Bounds:
    """All that is known to bound the pools. `ours` are the fleet's own sessions among those in use now.

    `reserve` is kept free for administrators, `pooler` is what a pooler between admits, `cores` are the database's.
    `sharing` names the services that share a limit of this kind (`role`, `database`), where not all do. What is not
    known bounds nothing, and is missing from the list.
    """
    ceilings = [*_server(facts, ours, reserve, sharing), *_pooler(pooler, around, sharing), *_process(around)]
    workers: Any = facts.extra.get("max_workers") if facts else None  # SQL Server's alone
    least = deadlock_floor(around.threads, around.per_request)
    return Bounds(
        tuple(ceilings),
        floor=least or 1,
        floor_working=_floor_working(around),
        knee=2 * cores if cores else None,
        knee_working=f"2 x {cores} cores: where PostgreSQL 9.1 was fastest, a starting point" if cores else "",
        workers=int(workers) if _counts(workers) else None,
        workers_working=_REFUSES if facts and "azure_gateway_idle_timeout" in facts.settings else _QUEUES,
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


def _server(
    facts: ServerFacts | None, ours: int, reserve: int, sharing: Mapping[str, tuple[str, ...]]
) -> Iterator[Ceiling]:
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
            services=sharing.get(limit.of, ()),
        )


def _counts(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


def _pooler(
    limits: PoolerLimits | None, around: Surroundings, sharing: Mapping[str, tuple[str, ...]]
) -> Iterator[Ceiling]:
    """In session mode a client keeps a server connection; in the others it only takes a client's place."""
    if limits is None:
        return
    name = around.pooler or "the pooler"
    if limits.clients is not None:
        others = limits.clients_of_others
        working = f"{limits.clients} - {others} used by others" if others else f"its limit of {limits.clients}"
        yield Ceiling(f"{name}'s clients (max_client_conn)", max(0, limits.clients - others), working)
    if around.pooler_mode != "session":
        return
    if limits.pool_size is not None:
        working = f"pool_size {limits.pool_size}" + (f" + {limits.reserve} in reserve" if limits.reserve else "")
        same = tuple(sorted({*sharing.get("role", ()), *sharing.get("database", ())}))
        yield Ceiling(f"{name}'s pool", limits.pool_size + limits.reserve, working, services=same)
    if limits.database is not None:
        working = f"its limit of {limits.database}"
        yield Ceiling(f"{name}'s max_db_connections", limits.database, working, services=sharing.get("database", ()))


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
