"""The current and the recommended pool through the fault of the path's idle timeout, to scale."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Target
from dbdoctor.model.trial import PoolPlan, Record, Scale
from dbdoctor.model.verified import ThroughFault
from dbdoctor.probe.resolve import Address
from dbdoctor.trials.current import current, without_timing
from dbdoctor.trials.host import read_host
from dbdoctor.trials.judge import judge
from dbdoctor.trials.load_plans import RECOMMENDED, recommended_plan
from dbdoctor.trials.observer import Observer
from dbdoctor.trials.orders import StageOrder, Where
from dbdoctor.trials.planning import Plan, choose_faults, facts_of, make_plan
from dbdoctor.trials.simulation import Simulation
from dbdoctor.trials.targets import connect_of

FAULTS = ("reset-on-use", "silent-drop")
"""A device that forgets a connection says so when it is used again, or drops what comes: devices do either."""

_IDLE, _CAP = 2.0, 5.0  # seconds in the trial: the path's idle timeout, and how long a request may hang
_THREADS = 3
_SESSIONS = _THREADS * len(FAULTS) * 2  # all trials at once


def fault_plan(target: Target, settings: Mapping[str, Any], idle_timeout: float, room: int | None) -> Plan | None:
    """What is tried for a path with this idle timeout (seconds); None where the recommended pool is none.

    `room` is for how many sessions there is, None where that is not known.
    """
    from dbdoctor.faults.kinds import all_faults

    chosen = recommended_plan(settings)
    if chosen is None:
        return None
    scale = Scale(min(_IDLE, idle_timeout), idle_timeout)
    then = replace(
        target,
        pool=PoolSettings(**{name: settings[name] for name in PoolSettings._fields if name in settings}),
        parameters={**target.parameters, **{name: str(value) for name, value in chosen.connect_args.items()}},
    )
    sessions = _SESSIONS if room is None else min(_SESSIONS, room)
    found = [current(one, scale, threads=min(_THREADS, sessions)).plan for one in (target, then)]
    pools = [pool for pool in (found[0], found[1] and replace(found[1], name=RECOMMENDED)) if pool is not None]
    faults = choose_faults(FAULTS, all_faults(), target.product)
    return make_plan(faults, pools, scale, sessions=sessions, cap=_CAP)


def through_faults(
    target: Target, address: Address, observer: Observer, plan: Plan, login_timeout: float, tick: Callable[[int], None]
) -> tuple[ThroughFault, ...]:
    """What became of each pool; `tick` is told how many trials are not over. Raises StageLostError."""
    from dbdoctor.faults.silence import can_silence

    order = StageOrder(
        trials=plan.trials,
        product=target.product.value,
        connect=without_timing(connect_of(target, [address])),
        where=_where(address),
        prefix=f"dbdoctor-{secrets.token_hex(4)}-",
        sessions=plan.sessions,
        private=not can_silence(),
        login_timeout=login_timeout,
    )
    simulation = Simulation(order, observer, lambda course: tick(course.total - course.over))
    records = simulation.run()
    pools = {pool.name: pool for pool in plan.pools}
    return _judged(target, plan, [records[number] for number in sorted(records)], pools)


def _judged(
    target: Target, plan: Plan, records: Sequence[Record], pools: Mapping[str, PoolPlan]
) -> tuple[ThroughFault, ...]:
    host = read_host(target.product)
    facts = {fault.code: facts_of(fault) for fault in plan.faults}
    cases = [judge(record, pools[record.pool], facts[record.fault], host) for record in records]
    return tuple(
        ThroughFault(case.fault, case.pool, case.outcome.value if case.outcome else None, case.failed, case.note)
        for case in sorted(cases, key=lambda case: (case.fault, case.pool))
    )


def _where(address: Address) -> Where:
    if isinstance(address.sockaddr, str):
        return Where(socket.AF_UNIX, address.sockaddr)
    return Where(int(address.family), (str(address.sockaddr[0]), int(address.sockaddr[1])))
