"""The current settings judged beside the recommendation, and the declared fleet beside what is usable."""

from __future__ import annotations

from dataclasses import replace

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Budget, Recommendation, Service
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
    """The declared services between rollouts and at the height of one.

    Without current settings what is recommended stands for them, which is over the limit only where nothing fits.
    """
    ceiling = case.bounds.narrowest
    if ceiling is None or found.connections is None:
        return None, None
    size = _connections(case.current) if case.current is not None else found.connections
    if size is None:
        return None, None
    services: list[Service] = [service_at(case.service, size), *case.others]
    working = f"{ceiling.name}: {ceiling.working}"
    at_rest, in_rollout = (
        replace(declared(services, ceiling.connections, rollout=rollout), usable_working=working)
        for rollout in (False, True)
    )
    return at_rest, in_rollout


def _connections(current: PoolSettings) -> int | None:
    """What a process can open; None where there is no limit, or no pool."""
    if current.pool_size == 0 or (current.max_overflow or 0) < 0 or current.pool_class == "NullPool":
        return None
    size = _POOL_SIZE if current.pool_size is None else current.pool_size
    return size + (_MAX_OVERFLOW if current.max_overflow is None else current.max_overflow)
