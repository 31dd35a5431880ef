"""From what was seen in a trial to what it amounts to; pure.

One request that failed is one error, whoever made it; two are errors, also when each of two threads saw only one: every
error has a user behind it. How many failed is always told. A trial that could not be made has no outcome at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.model.trial import Bound, Case, FaultFacts, Host, Outcome, PoolPlan, Record, Request
from dbdoctor.trials.hang import ghost_bound, hang_bound
from dbdoctor.trials.scaling import unscalable

BARELY = 2.0
"""A request begun so shortly before the trial was cut off says nothing (seconds)."""
LONGER = "longer than expected of"
"""How a bound begins that did not hold."""
# One of which others have ended with an error hangs when it takes so many times as long as they did.
_LONGER = 1.5


def judge(record: Record, plan: PoolPlan, fault: FaultFacts, host: Host) -> Case:
    """The case of this record; durations are those of the trial, bounds are for this host."""
    ended = sorted((one for one in record.requests if one.seconds is not None), key=lambda one: one.began)
    served = [one for one in ended if one.error is None]
    refused = [one for one in ended if one.error is not None]
    hung = _hung(record, refused)
    note = _untested(record, plan, judged=len(ended) + len(hung))
    if note:
        return Case(record.fault, record.pool, testable=False, note=note)
    began = min(one.began for one in [*ended, *hung])
    hang = max((_age(record, one) for one in hung), default=None)
    failed = len(refused) + len(hung)
    recovered = max(map(_end, served)) - began if len(served) >= plan.threads else None
    return Case(
        fault=record.fault,
        pool=record.pool,
        testable=True,
        outcome=_outcome(hung, failed, recovered),
        requests=len(ended) + len(hung),
        failed=failed,
        first_response=min(map(_end, served)) - began if served else None,
        recovered=recovered,
        slowest=max((one.seconds or 0.0 for one in ended), default=None),
        hang=hang,
        would_hang=None if hang is None else _at_least(hang_bound(plan, fault, host), hang),
        error=refused[0].error if refused else None,
        reconnects=record.connects,
        messages=record.messages,
        ghosts=record.ghosts,
        ghost_bound=ghost_bound(plan, fault, host) if record.ghosts else None,
    )


def untestable(fault: FaultFacts, plan: PoolPlan, why: str) -> Case:
    """The case of a trial that was not made, and why."""
    return Case(fault.code, plan.name, testable=False, note=why)


def _outcome(hung: Sequence[Request], failed: int, recovered: float | None) -> Outcome:
    if hung:
        return Outcome.HANGS
    if not failed:
        return Outcome.SURVIVES
    return Outcome.ONE_ERROR if failed == 1 and recovered is not None else Outcome.ERRORS


def _hung(record: Record, refused: Sequence[Request]) -> list[Request]:
    """Those that had not ended at the end, and were not only just begun."""
    usual = max((one.seconds or 0.0 for one in refused), default=0.0)
    patience = max(BARELY, _LONGER * usual)
    return [one for one in record.requests if one.seconds is None and _age(record, one) >= patience]


def _untested(record: Record, plan: PoolPlan, judged: int) -> str:
    if record.broken:
        return record.broken
    unscaled = unscalable(plan.real.values())
    if unscaled:
        return f"not testable here, because {unscaled}"
    if not judged:
        return "the trial was cut off before the application used its pool again"
    return ""


def _at_least(bound: Bound, seen: float) -> Bound:
    """No bound says less than what was seen; one that has been passed does not hold, and says so."""
    if bound.most is not None and bound.most < seen:
        return Bound(seen, None, f"{LONGER} {bound.why}")
    return bound._replace(least=max(bound.least, seen))


def _age(record: Record, request: Request) -> float:
    """How long it had been under way when the trial was cut off."""
    return max(0.0, (record.cut_off_after or 0.0) - request.began)


def _end(request: Request) -> float:
    return request.began + (request.seconds or 0.0)
