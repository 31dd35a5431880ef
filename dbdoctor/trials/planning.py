"""What a simulation tries, in which order, and how long that takes at most; pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.faults.fault import Fault
from dbdoctor.model.target import Product
from dbdoctor.model.trial import FaultFacts, PoolPlan, Scale
from dbdoctor.trials.orders import TrialOrder

# A trial's own time beside idling: to fill the pool, to use it again, to look at what is left (seconds; measured 0.2 to 1).
_BESIDE = 1.0
# So long after a pool that hangs is used again, its sessions are freed (dbdoctor.trials.trial).
_FREED_AFTER = 1.0
# Faults last for so long in times of the idle timeout: a restart, a stalled login.
_MARGIN = 1.5


class Plan(NamedTuple):
    """What is tried. `quickest` and `longest` are how long it takes when nothing hangs, and when everything does (s)."""

    trials: tuple[TrialOrder, ...]
    faults: tuple[type[Fault], ...]
    pools: tuple[PoolPlan, ...]
    sessions: int
    quickest: float
    longest: float


def choose_faults(asked: Sequence[str], every: Mapping[str, type[Fault]], product: Product) -> tuple[type[Fault], ...]:
    """The faults of these names, or the default ones; "all" is all of this product. Raises UsageError."""
    fitting = {code: fault for code, fault in every.items() if product in fault.products}
    if not asked:
        return tuple(fault for fault in fitting.values() if fault.by_default)
    if "all" in asked:
        return tuple(fitting.values())
    for code in asked:
        if code not in fitting:
            elsewhere = (
                f"`{code}` is not a fault of {product.value}" if code in every else f"there is no fault `{code}`"
            )
            raise UsageError(elsewhere, help=f"one of: {', '.join(fitting)}, all")
    return tuple(fitting[code] for code in fitting if code in asked)


def choose_pools(asked: Sequence[str], table: Mapping[str, PoolPlan], default: Sequence[str]) -> tuple[PoolPlan, ...]:
    """The pools of these names, or the default ones, in the table's order. Raises UsageError."""
    if "all" in asked:
        return tuple(table.values())
    for name in asked:
        if name not in table:
            raise UsageError(f"there is no pool `{name}`", help=f"one of: {', '.join(table)}, all")
    wanted = asked or [name for name in table if name in default]
    return tuple(table[name] for name in table if name in wanted)


def make_plan(
    faults: Sequence[type[Fault]], pools: Sequence[PoolPlan], scale: Scale, *, sessions: int, cap: float
) -> Plan:
    """Every fault with every pool; what may hang first, so that the waiting of one goes on beside the work of others."""
    pairs = [(fault, pool) for fault in faults for pool in pools]
    pairs.sort(key=lambda pair: (not pair[0].needs_silence, -_idle(pair[1], scale)))
    trials = tuple(TrialOrder(number, fault.code, scale.trial, pool, cap) for number, (fault, pool) in enumerate(pairs))
    return Plan(
        trials,
        tuple(faults),
        tuple(pools),
        sessions,
        _lasts(trials, sessions, hangs=0.0),
        _lasts(trials, sessions, hangs=cap),
    )


def facts_of(fault: type[Fault]) -> FaultFacts:
    """A fault in words."""
    return FaultFacts(fault.code, fault.title, fault.stands_for, fault.scenario, fault.counts_keepalives)


def _cap(pool: PoolPlan, cap: float) -> float:
    """A pool with a limit of its own is given the time for it: what it ends in time must not be taken for a hang.

    The kernel sees to tcp_user_timeout when it retransmits, up to twice as late (tcp(7)).
    """
    limits = (
        float(pool.connect_args.get("tcp_user_timeout", 0)) / 1000,
        float(pool.connect_args.get("connect_timeout", 0)),
    )
    return max(cap, *(2.5 * limit for limit in limits))


def _idle(pool: PoolPlan, scale: Scale) -> float:
    return scale.trial * pool.idle_factor + pool.idle_extra


def _lasts(trials: Sequence[TrialOrder], sessions: int, *, hangs: float) -> float:
    """When the last of them ends, if each session is given to the next trial as soon as it is free."""
    free = [0.0] * max(sessions, *(trial.pool.threads for trial in trials), 1)
    end = 0.0
    for trial in trials:
        began = max(heapq.heappop(free) for _ in range(trial.pool.threads))
        idle = trial.idle * trial.pool.idle_factor + trial.pool.idle_extra
        freed = began + max(idle, _MARGIN * trial.idle if not hangs else idle) + _BESIDE
        for _ in range(trial.pool.threads):
            heapq.heappush(free, freed + (_FREED_AFTER if hangs else 0.0))
        end = max(end, freed + hangs)
    return end
