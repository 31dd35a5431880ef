"""What the config says of demand: of the target's own profile, and of the others that share its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from dbdoctor.cli.recommend_options import RecommendOptions
from dbdoctor.cli.recommend_sources import load_trace
from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Stated, Trace
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import Missing, ServerFacts
from dbdoctor.model.sizing import PoolerLimits, Service
from dbdoctor.model.target import Target, Workload


class Others(NamedTuple):
    """The services beside the target: as they are configured, and their demand by name, of one process of each.

    `sharing` names the services that share a limit of this kind with the target (its own name among them), where not all
    do; `notes` are for people.
    """

    services: tuple[Service, ...] = ()
    demands: Mapping[str, Trace | Stated] = {}
    sharing: Mapping[str, tuple[str, ...]] = {}
    notes: tuple[str, ...] = ()


def with_profile(asked: RecommendOptions, target: Target) -> RecommendOptions:
    """The options, with the profile's demand and surge where the command line names none."""
    said = target.workload
    if said is None:
        return asked
    if asked.trace is None and asked.stated is None and not asked.seconds:
        asked = asked._replace(trace=said.trace, stated=None if said.trace else _stated(said))
    return asked if asked.surge is not None else asked._replace(surge=said.surge)


def neighbour(target: Target) -> Service:
    """Another service on the server, as its profile declares it; SQLAlchemy's defaults where it says nothing."""
    pool, said = target.pool or PoolSettings(), target.workload or Workload()
    size = 5 if not pool.pool_size else pool.pool_size
    overflow = 10 if pool.max_overflow is None or pool.max_overflow < 0 else pool.max_overflow
    return Service(
        target.profile or "another",
        replicas=pool.replicas or 1,
        workers=pool.processes or 1,
        surge=said.surge or 0,
        size=size + overflow,
    )


def others_of(
    target: Target | None, facts: ServerFacts | None, found: Sequence[Target], progress: Callable[[str], None]
) -> Others:
    """The neighbours, with the demand that their profiles state. A trace that cannot be read is a note."""
    if target is None or not found:
        return Others()
    found = [one for one in found if not _is_apart(one, target, facts)]
    services, demands, notes = [], {}, []
    for one in found:
        service, demand = neighbour(one), None
        try:
            demand = _demand(one, service, progress)
        except UsageError as error:
            notes.append(f"the demand of {service.name} is not known: {error.what}")
        if isinstance(demand, Trace) and (one.pool is None or not (one.pool.processes or one.pool.replicas)):
            service = replace(service, workers=demand.processes)
        services.append(service)
        if demand is not None:
            demands[service.name] = demand
    return Others(tuple(services), demands, _sharing(target, facts, found), tuple(notes))


def _demand(target: Target, service: Service, progress: Callable[[str], None]) -> Trace | Stated | None:
    said = target.workload or Workload()
    if said.trace is not None:
        return load_trace(said.trace, progress)
    stated = _stated(said)
    return stated and stated._replace(rate=stated.rate / service.pools_at_rest)


def _stated(said: Workload) -> Stated | None:
    if said.rate is None or said.use_time is None:
        return None
    return Stated(said.rate, said.use_time, said.burst)


def _is_apart(one: Target, target: Target, facts: ServerFacts | None) -> bool:
    """In Azure SQL Database the limits are the database's own."""
    in_azure = facts is not None and "azure_gateway_idle_timeout" in facts.settings
    return in_azure and (one.database or "").lower() != (target.database or "").lower()


def _sharing(target: Target, facts: ServerFacts | None, found: Sequence[Target]) -> dict[str, tuple[str, ...]]:
    """Limits of a role and of a database: who logs in otherwise, or elsewhere, has others."""
    own = target.profile or "this application"
    user, database = facts.user if facts else target.user, facts.database if facts else target.database
    same = {
        "role": [one for one in found if (one.user or user) == user],
        "database": [one for one in found if (one.database or one.user or database) == database],
    }
    return {
        kind: (own, *(one.profile or "another" for one in those))
        for kind, those in same.items()
        if len(those) < len(found)
    }


def pooler_limits(
    target: Target, facts: ServerFacts | None, found: Sequence[Target]
) -> tuple[PoolerLimits | None, tuple[str, ...]]:
    """What a pooler in between admits: as its profile says, else as its console does; and a note where neither does."""
    if facts is None or facts.pooler is None:
        return None, ()
    said = target.workload or Workload()
    stated = PoolerLimits(clients=said.pooler_clients, pool_size=said.pooler_pool_size, source="the config")
    if said.pooler_clients is not None and said.pooler_pool_size is not None:
        return stated, ()
    from dbdoctor.watch.pgbouncer import has_console
    from dbdoctor.watch.pgbouncer_limits import ask_limits

    known = stated if stated != PoolerLimits(source="the config") else None
    if not has_console(facts.pooler, target):
        return known, ()
    users = {target.user, facts.user, *(one.user for one in found)}
    asked = ask_limits(target, target.database, users)
    if isinstance(asked, Missing):
        return known, (f"{asked.what} is not known: {asked.reason}",)
    return asked._replace(
        clients=said.pooler_clients or asked.clients, pool_size=said.pooler_pool_size or asked.pool_size
    ), ()
