"""Behind a transaction pooler: how large its pool of the server's connections should be, and whether its clients fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbdoctor.model.demand import Trace
from dbdoctor.model.sizing import Because, Recommendation
from dbdoctor.sizing.case import Case
from dbdoctor.sizing.merged import dealt_to

_AMPLE = 2.0  # a pool may be so many times what is needed before it is worth a change


def at_pooler(case: Case, found: Recommendation) -> Recommendation:
    """The recommendation with default_pool_size for all processes together, beside what the pooler has now."""
    size = dealt_to(case.demand, case.service.pools_at_rest, 1, case.wait_target)
    before = found.server_settings[0]
    if size is None:
        size = int(before.value)
    limits = case.pooler
    now = None if limits is None else limits.pool_size
    evidence = {**before.evidence, "pools": case.service.pools, "now": now, "source": limits.source if limits else None}
    reason = f"so many keep the wait target, shared by the {case.service.pools_at_rest} processes between rollouts"
    room = _room(case)
    incomplete = list(_clients(case, found))
    if room is not None and size > room[0]:
        incomplete.append(f"{size} server connections would meet the target, and only {room[0]} can be had ({room[1]})")
        reason += f"; at most {room[0]}: {room[1]}"
        size = max(1, room[0])
    if now is not None and size <= now <= _AMPLE * size:
        one = Because("default_pool_size", now, f"as it is: {size} are needed, {reason}", evidence, changes=False)
    else:
        was = f"; it is {now} now" if now is not None else ""
        one = Because("default_pool_size", size, f"{reason}{was}", evidence)
    return replace(
        found,
        server_settings=(one, *found.server_settings[1:]),
        incomplete=(*found.incomplete, *incomplete),
    )


def _room(case: Case) -> tuple[int, str] | None:
    """What is narrower than the pooler's own pool: the server's slots, or max_db_connections."""
    found = [(one.connections, one.name) for one in case.bounds.shared if "max_client_conn" not in one.name]
    if case.pooler is not None and case.pooler.database is not None:
        found.append((case.pooler.database, "max_db_connections"))
    return min(found, default=None)


def _clients(case: Case, found: Recommendation) -> Iterator[str]:
    """Without a pool, each checkout is a client of the pooler for as long as it waits and works."""
    limits = case.pooler
    threads = case.service.threads
    each = threads or (found.demand.most_at_once if isinstance(case.demand, Trace) else None)
    if limits is None or limits.clients is None or not each:
        return
    room, most = limits.clients - limits.clients_of_others, each * case.service.pools
    if most > room:
        yield (
            f"{case.service.pools} processes with up to {each} checkouts at once are {most} clients of the pooler, and it admits "
            f"{room}: raise max_client_conn to {most + limits.clients_of_others}"
        )
