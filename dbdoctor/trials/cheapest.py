"""The cheapest pool that survives everything that could be tried, and if none does, the one with least harm; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dbdoctor.model.trial import Case, Outcome, PoolPlan

_HARM = {Outcome.SURVIVES: 0, Outcome.ONE_ERROR: 1, Outcome.ERRORS: 10, Outcome.HANGS: 100}
_UNKNOWN_HARM = 50


class Cheapest(NamedTuple):
    """A pool, whether it survives all that could be tried, what is still seen with it, and the code (real values)."""

    pool: PoolPlan
    survives: bool
    still_seen: tuple[Case, ...] = ()
    untried: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The code to paste."""
        return self.pool.lines


def cheapest(pools: Sequence[PoolPlan], cases: Iterable[Case]) -> Cheapest | None:
    """The pool of least harm, of those the one that costs least, of those the one with fewest settings, then the first.

    Faults that could be tried with no pool at all are left out (`untried`). A pool that one of the others was not tried
    with is not proven to survive it. None when nothing could be tried.
    """
    known = {(case.fault, case.pool): case for case in cases}
    faults = list(dict.fromkeys(case.fault for case in known.values()))
    tried = [fault for fault in faults if any(_outcome(known, fault, pool) for pool in pools)]
    if not tried or not pools:
        return None
    best = min(pools, key=lambda pool: (_harm(known, tried, pool), pool.cost, _settings(pool)))
    seen = tuple(
        case
        for fault in tried
        if (case := known.get((fault, best.name))) is not None and case.outcome not in (None, Outcome.SURVIVES)
    )
    untried = tuple(fault for fault in faults if _outcome(known, fault, best) is None)
    return Cheapest(best, _harm(known, tried, best) == 0, seen, untried)


def _outcome(known: dict[tuple[str, str], Case], fault: str, pool: PoolPlan) -> Outcome | None:
    case = known.get((fault, pool.name))
    return case.outcome if case is not None and case.testable else None


def _harm(known: dict[tuple[str, str], Case], faults: Sequence[str], pool: PoolPlan) -> int:
    outcomes = [_outcome(known, fault, pool) for fault in faults]
    return sum(_UNKNOWN_HARM if outcome is None else _HARM[outcome] for outcome in outcomes)


def _settings(pool: PoolPlan) -> int:
    """How many settings differ from SQLAlchemy's and the driver's defaults."""
    plain = PoolPlan("", "")
    names = ("pool_class", "pool_recycle", "pool_pre_ping", "pool_use_lifo", "query_timeout", "ping_every")
    return len(pool.connect_args) + len([name for name in names if getattr(pool, name) != getattr(plain, name)])
