"""What to do where the server cannot hold what the services want: more connections, a pooler, or fewer processes, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dbdoctor.model.sizing import Because, Budget
from dbdoctor.sizing.case import Case
from dbdoctor.sizing.merged import dealt_to

MEMORY_EACH = 2.0  # MiB: an idle session of PostgreSQL 18 took 1.5 to 2.6
_MOST_MEMORY = 512.0  # MiB more
_MOST_CONNECTIONS = 500  # our judgement: beyond, a pooler is less trouble than the processes of so many sessions


class Ways(NamedTuple):
    """The ways out in numbers: `limit` is max_connections as it would have to be, `more` than now.

    `pooled` are the server's connections in all with a transaction pooler, `halved` with half the processes, which are
    `processes` in a replica then; None: that cannot be told.
    """

    limit: int
    more: int
    usable: int
    pooled: int | None
    halved: int | None
    processes: int


def relief(case: Case, table: Budget | None) -> Iterator[Because]:
    """Of PostgreSQL, where its slots are what binds; nothing where all wishes fit."""
    narrowest, facts = case.bounds.narrowest, case.facts
    if table is None or facts is None or facts.slots is None or facts.pooler is not None:
        return
    if facts.product != "PostgreSQL" or narrowest is None or narrowest.name != "the server's slots":
        return
    wanted = sum(row.wanted * row.pools for row in table.rows)
    if wanted <= table.usable:
        return
    ways = _ways(case, table, facts.slots.limit, wanted)
    evidence = {**ways._asdict(), "wanted": wanted, "mib_each": MEMORY_EACH, "most_connections": _MOST_CONNECTIONS}
    yield _chosen(ways, evidence)


def _ways(case: Case, table: Budget, limit: int, wanted: int) -> Ways:
    own, service = table.rows[0], case.service
    others = wanted - own.wanted * own.pools
    more = wanted - table.usable
    shared = dealt_to(case.demand, service.pools_at_rest, 1, case.wait_target)
    fewer = service.workers // 2
    each = None
    if fewer:
        each = dealt_to(
            case.demand, service.pools_at_rest, service.pools_at_rest // service.workers * fewer, case.wait_target
        )
    return Ways(
        limit + more,
        more,
        table.usable,
        None if shared is None else others + shared,
        None if each is None else others + each * (own.pools // service.workers) * fewer,
        fewer,
    )


def _chosen(ways: Ways, evidence: dict[str, object]) -> Because:
    affordable = ways.more * MEMORY_EACH <= _MOST_MEMORY and ways.limit <= _MOST_CONNECTIONS
    others = "; or ".join(_others(ways))
    if affordable or ways.pooled is None or ways.pooled > ways.usable:
        reason = (
            f"{ways.more} more than now, so that all that the services want fits; "
            f"idle ones take about {MEMORY_EACH:g} MiB each on the server, {ways.more * MEMORY_EACH:.0f} MiB in all"
        )
        if not affordable:
            reason += "; that is a lot: look for fewer processes or replicas first"
        return Because("max_connections", ways.limit, reason + (f"; or {others}" if others else ""), evidence)
    reason = (
        f"PgBouncer in transaction mode shares {ways.pooled} of the server's connections out, which fit; without it "
        f"max_connections would have to be {ways.limit}, {ways.more} more, each a process of its own on the server"
    )
    return Because("pooler", "transaction mode", reason + (f"; or {others}" if others else ""), evidence)


def _others(ways: Ways) -> Iterator[str]:
    """What else there is, each with whether it is enough."""
    if ways.halved is not None and ways.processes:
        fits = "which fit" if ways.halved <= ways.usable else "which do not fit"
        noun = "process" if ways.processes == 1 else "processes"
        yield f"{ways.processes} {noun} in a replica with twice the threads: {ways.halved} connections, {fits}"
    if ways.pooled is not None and ways.limit <= _MOST_CONNECTIONS:
        fits = "which fit" if ways.pooled <= ways.usable else "which do not fit"
        yield f"a pooler in transaction mode: {ways.pooled} connections, {fits}"
