"""What a simulation tries, in which order, and how long that takes at most; pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.faults.fault import Fault
from dbdoctor.model.target import Product
from dbdoctor.model.trial import FaultFacts, PoolPlan, Scale, Scenario
from dbdoctor.trials.orders import TrialOrder

# A trial's own time beside idling: to fill the pool, to use it again, to look at what is left (seconds; measured).
_BESIDE = 0.8
# So long after a pool that hangs is used again, its sessions are freed (dbdoctor.trials.trial).
_FREED_AFTER = 0.5


class Plan(NamedTuple):
    """What is tried. `quickest` and `longest` are how long it takes when nothing hangs, and when all that may does (s)."""

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
    pairs.sort(key=lambda pair: (not pair[0].needs_silence, not _may_hang(pair[1], scale)))
    trials = tuple(
        TrialOrder(number, fault.code, scale.trial, pool, _cap(pool, cap)) for number, (fault, pool) in enumerate(pairs)
    )
    lasting = frozenset(number for number, (fault, pool) in enumerate(pairs) if _may_last(fault, pool, scale))
    return Plan(
        trials,
        tuple(faults),
        tuple(pools),
        sessions,
        _lasts(trials, sessions, hanging=frozenset()),
        _lasts(trials, sessions, hanging=lasting),
    )


def facts_of(fault: type[Fault]) -> FaultFacts:
    """A fault in words."""
    return FaultFacts(**{name: getattr(fault, name) for name in FaultFacts._fields})


def _cap(pool: PoolPlan, cap: float) -> float:
    """A pool with a limit of its own is given the time for it: what it ends in time must not be taken for a hang.

    The kernel sees to tcp_user_timeout when it retransmits, up to twice as late (tcp(7)).
    """
    if pool.query_timeout is not None:  # an ODBC driver then waits for its cancellation, three times as long in all
        cap = max(cap, 3.5 * pool.query_timeout)
    limits = (
        float(pool.connect_args.get("tcp_user_timeout", 0)) / 1000,
        float(pool.connect_args.get("connect_timeout", 0)),
    )
    return max(cap, *(2.5 * limit for limit in limits))


def _may_hang(pool: PoolPlan, scale: Scale) -> bool:
    """Whether nothing of the pool's keeps it from using a connection that was dropped in silence, or limits the wait."""
    replaced = 0 <= pool.pool_recycle < scale.trial or pool.pool_class == "NullPool"
    return not replaced and "tcp_user_timeout" not in pool.connect_args


def _may_last(fault: type[Fault], pool: PoolPlan, scale: Scale) -> bool:
    """Whether a request may hang in it, or be refused again and again, until the trial is cut off."""
    if fault.stalls_login or fault.writes or fault.scenario is Scenario.QUERY:
        return True
    return (fault.needs_silence or fault.acknowledges) and _may_hang(pool, scale)


def _lasts(trials: Sequence[TrialOrder], sessions: int, *, hanging: frozenset[int]) -> float:
    """When the last of them ends, if each session is given to the next trial as soon as it is free."""
    free = [0.0] * max(sessions, *(trial.pool.threads for trial in trials), 1)
    end = 0.0
    for trial in trials:
        began = max(heapq.heappop(free) for _ in range(trial.pool.threads))
        used = began + trial.idle * trial.pool.idle_factor + trial.pool.idle_extra
        hangs = trial.number in hanging
        for _ in range(trial.pool.threads):
            heapq.heappush(free, used + _BESIDE + (_FREED_AFTER if hangs else 0.0))
        end = max(end, used + _BESIDE + (trial.cap if hangs else 0.0))
    return end
