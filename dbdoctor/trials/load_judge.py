"""From what a load saw to predicted beside measured; pure."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Range
from dbdoctor.model.trial import PoolPlan
from dbdoctor.model.verified import Verdict, WaitRanges, Waits
from dbdoctor.sizing.barging import PoolModel, Simulated, simulate_one
from dbdoctor.sizing.bootstrap import DRAWS, wait_range
from dbdoctor.sizing.histogram import Histogram
from dbdoctor.sizing.replay import replay
from dbdoctor.trials.load import LoadSeen
from dbdoctor.trials.load_plans import NULL_POOL

_BLOCKS = 20  # of each run, for the bootstrap
_SHARE_OF_TARGET, _LATE = 0.5, 0.005  # arrivals may be so late: of the wait that is good enough, or in seconds
_FAILED = 0.01  # the share of the checkouts that may fail
_OFF = 0.1  # a prediction may be off by so much of what was measured
_LONG_AGO, _WARMING = 10.0, 1.0


class Foretold(NamedTuple):
    """A window through the simulated pool: what it did, the waits, and the most checkouts that waited or worked at once."""

    waits: Waits
    most_open: int
    most_at_once: int


class Run(NamedTuple):
    """What was run in one process, and what came of it."""

    course: Course
    seen: LoadSeen


def model_of(pool: PoolPlan, *, connect: float, round_trip: float, wake_up: float) -> PoolModel:
    """The pool to simulate; the times are seconds."""
    return PoolModel(
        pool.pool_size,
        pool.max_overflow,
        timeout=pool.pool_timeout,
        lifo=pool.pool_use_lifo,
        connect=connect,
        ping=round_trip if pool.pool_pre_ping else 0.0,
        wake_up=wake_up,
    )


def foretell(course: Course, model: PoolModel, uses: Sequence[float] | None = None) -> Foretold:
    """What SQLAlchemy's queue will do with the window, `uses` in place of its own; pool_size connections are there."""
    uses = course.uses if uses is None else uses
    size = model.size  # they are opened long ago, by checkouts that are not counted
    first = course.arrivals[0] - _LONG_AGO
    did, waits = simulate_one([*[first] * size, *course.arrivals], [*[_WARMING] * size, *uses], model)
    waits = waits[size:]
    return Foretold(_waits([waits], did, size), did.most_open, _at_once(course, waits, uses, model.timeout))


def foretell_pooled(course: Course, model: PoolModel, uses: Sequence[float] | None = None) -> Foretold:
    """What a transaction pooler of `model.size` server connections will do, first come first served.

    Each checkout logs in to the pooler (`model.connect`), which takes no server connection yet, and asks (`model.ping`).
    """
    uses = course.uses if uses is None else uses
    asked = [arrival + model.connect for arrival in course.arrivals]
    waits = [model.connect + model.ping + wait for wait in replay(asked, uses, model.size, extra_use=model.ping)]
    did = Simulated(connects=len(waits))
    most = _at_once(course, waits, uses, math.inf)
    return Foretold(_waits([waits], did, 0), min(most, model.size), most)


def judge_load(
    pool: PoolPlan, runs: Sequence[Run], model: PoolModel, target_wait: float, *, own_uses: bool, processes: int = 1
) -> Verdict:
    """The runs of one pool together; foretold with logins as long as they were in the run, which is not the pool's doing.

    Of each of the `processes` there is a run for every time that all were run. `own_uses`: what was run was not the
    window's uses, so that those that were measured are foretold.
    """
    told = foretell if pool.pool_class != NULL_POOL else foretell_pooled
    foretold = [told(one.course, _as_run(model, one.seen), one.seen.uses if own_uses else None).waits for one in runs]
    seen = [one.seen for one in runs]
    late = sorted(late for one in seen for late in one.late)
    used = [use for one in seen for use, wait in zip(one.uses, one.waits, strict=True) if wait is not None]
    verdict = Verdict(
        pool,
        len(seen) // processes,
        sum(len(one.waits) for one in seen),
        _mean_of(foretold),
        measured=_measured(seen),
        ranges=_ranges(seen),
        late=late[int(0.99 * len(late))] if late else 0.0,
        use=sum(used) / len(used) if used else 0.0,
        errors=sum(one.errors for one in seen),
        login=next((one.login for one in seen if one.login is not None), None),
        error=next((one.error for one in seen if one.error), None),
    )
    return _with_verdict(verdict, target_wait)


def _as_run(model: PoolModel, seen: LoadSeen) -> PoolModel:
    return model if seen.login is None else model._replace(connect=seen.login)


def _with_verdict(one: Verdict, target_wait: float) -> Verdict:
    void = _void(one, target_wait)
    if void or one.measured is None or one.ranges is None:
        return replace(one, void=void or "too few checkouts were served")
    tolerated = max(one.late, 0.001)
    agrees = all(
        span.least - tolerated - _OFF * span.least <= foretold <= span.most + tolerated + _OFF * span.most
        for foretold, span in zip(one.predicted[:3], one.ranges, strict=True)
    )
    return replace(one, agrees=agrees)


def _void(one: Verdict, target_wait: float) -> str | None:
    if one.errors > _FAILED * one.checkouts:
        return f"{one.errors} of {one.checkouts} checkouts failed ({one.error})"
    most = max(_LATE, _SHARE_OF_TARGET * target_wait)
    if one.late > most:
        return (
            f"this client could not keep up: a hundredth of the checkouts was asked for {format_duration(one.late)} or more "
            f"after it was due ({format_duration(most)} would do)"
        )
    return None


def _measured(seen: Sequence[LoadSeen]) -> Waits | None:
    served = [wait for one in seen for wait in one.waits if wait is not None]
    if not served:
        return None
    return _figures(_histogram(served), sum(one.timeouts for one in seen), sum(one.connects for one in seen))


def _waits(runs: Sequence[Sequence[float | None]], did: Simulated, size: int) -> Waits:
    whole = _histogram([wait for run in runs for wait in run if wait is not None])
    return _figures(whole, did.timeouts, max(0, did.connects - size))


def _figures(whole: Histogram, timeouts: int, connects: int) -> Waits:
    p95, p99 = whole.quantiles((0.95, 0.99))
    return Waits(whole.mean, p95, p99, timeouts, connects)


def _mean_of(foretold: Sequence[Waits]) -> Waits:
    """Waits on average, counts in all."""
    many = len(foretold)
    mean, p95, p99 = (sum(waits) / many for waits in list(zip(*foretold, strict=True))[:3])
    return Waits(mean, p95, p99, sum(one.timeouts for one in foretold), sum(one.connects for one in foretold))


def _histogram(waits: Sequence[float]) -> Histogram:
    found = Histogram()
    found.add(len(waits), [wait for wait in waits if wait > 0])
    return found


def _ranges(seen: Sequence[LoadSeen]) -> WaitRanges | None:
    windows = [_histogram(part) for one in seen for part in _parts(one.waits)]
    p95, p99 = wait_range(windows, 0.95), wait_range(windows, 0.99)
    return WaitRanges(_mean_range(windows), p95, p99) if p95 and p99 else None


def _parts(waits: Sequence[float | None]) -> list[list[float]]:
    """Blocks of consecutive checkouts: bursts stay together."""
    each = max(1, -(-len(waits) // _BLOCKS))
    parts = [[wait for wait in waits[at : at + each] if wait is not None] for at in range(0, len(waits), each)]
    return [part for part in parts if part]


def _mean_range(windows: Sequence[Histogram]) -> Range:
    draws = random.Random(0)  # noqa: S311 - a bootstrap, no secret
    found = []
    for _ in range(DRAWS):
        drawn = draws.choices(windows, k=len(windows))
        found.append(sum(one.total for one in drawn) / sum(one.count for one in drawn))
    found.sort()
    return Range(found[DRAWS // 20], found[-DRAWS // 20 - 1])


def _at_once(course: Course, waits: Sequence[float | None], uses: Sequence[float], timeout: float) -> int:
    """The most checkouts that wait or work at a time."""
    events = []
    for arrival, wait, use in zip(course.arrivals, waits, uses, strict=True):
        events += [(arrival, 1), (arrival + (timeout if wait is None else wait + use), -1)]
    now = most = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most
