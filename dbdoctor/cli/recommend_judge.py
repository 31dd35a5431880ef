"""The current settings judged beside the recommendation, and the declared fleet beside what is usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Budget, Ceiling, Recommendation, Service
from dbdoctor.rules.sizing import Sized, judge_sizing
from dbdoctor.sizing.case import Case, service_at
from dbdoctor.sizing.fleet import declared

_POOL_SIZE, _MAX_OVERFLOW = 5, 10  # SQLAlchemy's, where the current settings do not name them


def judged(case: Case, found: Recommendation) -> tuple[tuple[Finding, ...], tuple[Skipped, ...]]:
    """The findings, the worst last, and the rules that could not look."""
    at_rest, in_rollout = fleets(case, found)
    findings, skipped = judge_sizing(Sized(found, case.around, at_rest, in_rollout))
    return tuple(findings), tuple(skipped)


def fleets(case: Case, found: Recommendation) -> tuple[Budget | None, Budget | None]:
    """The declared services between rollouts and at the height of one, beside the limit that they exceed, or the narrowest.

    Without current settings what is recommended stands for them, which is over the limit only where nothing fits.
    """
    bounds = case.bounds
    if not bounds.shared or found.connections is None:
        return None, None
    size = _connections(case.current) if case.current is not None else found.connections
    if size is None:
        return None, None
    services: list[Service] = [service_at(case.service, size), *case.others]
    ceilings = sorted(bounds.shared, key=lambda one: (one != bounds.narrowest, one.connections))
    each = [_beside(services, ceiling) for ceiling in ceilings]
    exceeded = [both for both in each if not both[1].feasible]
    worst = [both for both in exceeded if not both[0].feasible]
    return next(iter((*worst, *exceeded, *each)))


def _beside(services: Sequence[Service], ceiling: Ceiling) -> tuple[Budget, Budget]:
    """Those that share this limit, at rest and in a rollout."""
    bound = [service for service in services if ceiling.binds(service.name)]
    at_rest, in_rollout = (declared(bound, ceiling.connections, rollout=rollout) for rollout in (False, True))
    working = f"{ceiling.name}: {ceiling.working}"
    return replace(at_rest, usable_working=working), replace(in_rollout, usable_working=working)


def _connections(current: PoolSettings) -> int | None:
    """What a process can open; None where there is no limit, or no pool."""
    if current.pool_size == 0 or (current.max_overflow or 0) < 0 or current.pool_class == "NullPool":
        return None
    size = _POOL_SIZE if current.pool_size is None else current.pool_size
    return size + (_MAX_OVERFLOW if current.max_overflow is None else current.max_overflow)
