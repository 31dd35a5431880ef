"""From a target, what its server said, and the options: the case to be solved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dbdoctor.cli.recommend_fleet import Others
from dbdoctor.cli.recommend_options import PathIdle, RecommendOptions
from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.examination import Examination
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.sizing import PoolerLimits, Service, Surroundings
from dbdoctor.model.target import Product, Target
from dbdoctor.sizing.case import Case

_SAME_DRIVER = {"psycopg2cffi": "psycopg2", "psycopg_async": "psycopg", "aioodbc": "pyodbc"}
_OWN_DRIVER = {Product.POSTGRESQL: "psycopg2", Product.SQLSERVER: "pyodbc"}
_ARGUMENTS = (
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
)  # fmt: skip


class Fleet(NamedTuple):
    """What shares the server: the other services and the targets of their profiles, and what a pooler in between admits."""

    others: Others = Others()
    targets: Sequence[Target] = ()
    pooler: PoolerLimits | None = None


def make_case(
    asked: RecommendOptions,
    demand: Trace | Samples | Stated | None,
    target: Target | None,
    examination: Examination | None,
    fleet: Fleet = Fleet(),
) -> Case:
    """Everything that the answer depends on."""
    facts = examination.facts if examination else None
    service = service_of(asked, target, demand)
    near = _is_near(facts, target)
    if isinstance(demand, Stated):
        demand = demand._replace(rate=demand.rate / service.pools_at_rest)
    return Case(
        demand=demand,
        service=service,
        others=fleet.others.services,
        demands=fleet.others.demands,
        sharing=fleet.others.sharing,
        pooler=fleet.pooler,
        facts=facts,
        around=_around(asked, target, examination, fleet.pooler),
        wait_target=asked.wait_target,
        current=target.pool if target else None,
        ours=_ours(facts, target, fleet.targets),
        cores=os.cpu_count() if near and target and target.product is Product.POSTGRESQL else None,
        near=near,
    )


def service_of(asked: RecommendOptions, target: Target | None, demand: object = None) -> Service:
    """The service to size: processes and replicas as said, else as the profile has them, else as the trace shows."""
    pool = (target.pool if target else None) or PoolSettings()
    said = any((asked.processes, asked.replicas, pool.processes, pool.replicas))
    seen = demand.processes if isinstance(demand, Trace) and not said else None
    if isinstance(demand, Samples) and not said:
        seen = len(demand.counts)
    return Service(
        (target.profile if target else None) or "this application",
        replicas=asked.replicas or pool.replicas or 1,
        workers=asked.processes or pool.processes or seen or 1,
        surge=asked.surge or 0,
        threads=asked.threads,
    )


def path_idle(
    asked: RecommendOptions, target: Target | None, facts: ServerFacts | None, pooler: PoolerLimits | None = None
) -> PathIdle | None:
    """The shortest idle timeout that is known between the pool and its sessions, the server's and a pooler's among them."""
    found = []
    if asked.idle_timeout is not None:
        found.append(asked.idle_timeout)
    elif target is not None and target.path_idle_timeout:
        found.append(PathIdle(target.path_idle_timeout, "the path", None))
    settings: Mapping[str, float] = facts.settings if facts is not None and facts.pooler is None else {}
    if settings.get("idle_session_timeout"):
        found.append(PathIdle(settings["idle_session_timeout"], "the server (idle_session_timeout)", False))
    if settings.get("azure_gateway_idle_timeout"):
        found.append(PathIdle(settings["azure_gateway_idle_timeout"], "Azure's gateway (Proxy policy)", False))
    if pooler is not None and pooler.client_idle:
        found.append(PathIdle(pooler.client_idle, "the pooler (client_idle_timeout)", False))
    return min(found, key=lambda one: one.seconds, default=None)


def _around(
    asked: RecommendOptions, target: Target | None, examination: Examination | None, pooler: PoolerLimits | None
) -> Surroundings:
    facts = examination.facts if examination else None
    idle = path_idle(asked, target, facts, pooler)
    timings = examination.timings if examination else None
    product = target.product if target else Product.POSTGRESQL
    driver = (target.driver if target else None) or _OWN_DRIVER[product]
    return Surroundings(
        product="sqlserver" if product is Product.SQLSERVER else "postgresql",
        driver=_SAME_DRIVER.get(driver, driver),
        idle_timeout=idle.seconds if idle else None,
        idle_timeout_of=idle.of if idle else "the path",
        keepalive_resets_it=idle.keepalive_resets_it if idle else None,
        deadline=asked.deadline,
        threads=asked.threads,
        per_request=asked.per_request,
        round_trip=timings.round_trip_median if timings and timings.round_trips else None,
        connect=timings.login_median if timings and timings.logins else None,
        pooler=facts.pooler.name if facts and facts.pooler else None,
        pooler_mode=facts.pooler.mode if facts and facts.pooler else None,
        tcp=not (target and target.endpoints and all(end.is_socket for end in target.endpoints)),
        connect_args=_arguments(target),
    )


def _arguments(target: Target | None) -> dict[str, Any]:
    """What the application says of deadlines and keepalives; nothing that could be secret."""
    if target is None:
        return {}
    if target.product is not Product.POSTGRESQL:
        known = {name.lower(): name for name in ("timeout", "KeepAlive", "KeepAliveInterval")}
        found = {known[name.lower()]: value for name, value in target.parameters.items() if name.lower() in known}
        return {name: int(value) if value.isdigit() else value for name, value in found.items()}
    told = {name: target.parameters[name] for name in _ARGUMENTS if name in target.parameters}
    return {name: int(value) if value.isdigit() else value for name, value in told.items()}


def _ours(facts: ServerFacts | None, target: Target | None, others: Sequence[Target]) -> int:
    """Sessions of the services among those in use: by their logins, as far as the server tells."""
    if facts is None or facts.slots is None:
        return 0
    users = {one.user for one in others} | {facts.user, target.user if target else None}
    known = sum(count for user, _, count in facts.slots.used_by if user in users)
    role = facts.extra.get("role_sessions")
    return max(known, int(role) if isinstance(role, int) else 0)


def _is_near(facts: ServerFacts | None, target: Target | None) -> bool:
    if facts is None or target is None:
        return False
    from dbdoctor.rules._common import is_near

    return is_near(facts, target)
