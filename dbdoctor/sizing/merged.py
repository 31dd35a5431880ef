"""The same demand dealt to other numbers of processes, or to one pool that all of them share."""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import replace
from itertools import zip_longest

from dbdoctor.model.demand import Course, Samples, Stated, Trace
from dbdoctor.model.sizing import WaitTarget
from dbdoctor.sizing import demand as demands
from dbdoctor.sizing.choice import Choice, from_samples, from_stated, from_trace


def redealt(trace: Trace, ratio: float, seed: int = 0) -> Trace:
    """The same checkouts dealt anew to `ratio` times as many processes, each to any with the same chance."""
    processes = max(1, round(trace.processes * ratio))
    draws = random.Random(seed)  # noqa: S311 - a deal, no secret
    rows = sorted(row for course in trace.courses for row in zip(*course[1:], strict=True))
    dealt = [Course(f"process {number + 1}", array("d"), array("d"), array("d")) for number in range(processes)]
    for arrival, wait, use in rows:
        course = dealt[draws.randrange(processes)]
        course.arrivals.append(arrival)
        course.waits.append(wait)
        course.uses.append(use)
    return replace(trace, courses=tuple(course for course in dealt if course.arrivals), processes=processes)


def dealt_to(demand: Trace | Samples | Stated | None, pools: int, processes: int, target: WaitTarget) -> int | None:
    """What a process needs when the demand of `pools` processes is dealt to so many; None where that cannot be told.

    `demand` is that of one process of these where it is stated. A recording of fewer processes than there are stands for
    as many as it has: what it needs is scaled up.
    """
    choice = _choice(demand, pools, processes, target)
    if choice is None or choice.saturated is not None:
        return None
    seen = (
        demand.processes if isinstance(demand, Trace) else len(demand.counts) if isinstance(demand, Samples) else pools
    )
    return math.ceil(choice.size * max(1.0, pools / seen)) if processes == 1 else choice.size


def _choice(demand: Trace | Samples | Stated | None, pools: int, processes: int, target: WaitTarget) -> Choice | None:
    ratio = processes / pools
    if isinstance(demand, Stated):
        shared = demand._replace(rate=demand.rate / ratio)
        return from_stated(shared, demands.of_stated(shared), target)
    if isinstance(demand, Trace) and not demand.sampled:
        shared_trace = redealt(demand, ratio if processes > 1 else 1 / demand.processes)
        return from_trace(shared_trace, demands.of_trace(shared_trace), target)
    if isinstance(demand, Samples) and processes == 1:
        together = tuple(map(sum, zip_longest(*demand.counts, fillvalue=0)))
        shared_samples = demand._replace(counts=(together,))
        return from_samples(shared_samples, demands.of_samples(shared_samples), target)
    return None
