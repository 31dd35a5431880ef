"""Replays a fixed number of callers who each come back only after they were served, as worker threads do.

In a recording where such callers waited for a connection, fewer checkouts were made than would have been. Replayed at the
recorded times, a larger pool would look idle; here each caller keeps the pauses that it made, and comes sooner when it is
served sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.sizing.replay import most_at_once

_PLATEAU = 0.05  # of the arrivals
_FEWEST = 4  # callers; of fewer, even independent ones often all meet


class Caller(NamedTuple):
    """One caller: what it does in turn, each a pause and a use in seconds. Its first pause is from the beginning."""

    turns: list[tuple[float, float]]


def callers_of(course: Course) -> list[Caller]:
    """As few callers as can have made these checkouts: each one is made by whoever was free for the shortest time."""
    callers: list[Caller] = []
    busy: list[tuple[float, int]] = []
    free: list[tuple[float, int]] = []  # by how recently it ended
    origin = course.arrivals[0] if course.arrivals else 0.0
    for arrival, wait, use in zip(course.arrivals, course.waits, course.uses, strict=True):
        while busy and busy[0][0] <= arrival:
            free.append(heappop(busy))
        if free:
            ended, caller = free.pop()
        else:
            ended, caller = origin, len(callers)
            callers.append(Caller([]))
        callers[caller].turns.append((arrival - ended, use))
        heappush(busy, (arrival + wait + use, caller))
    return callers


def is_closed(course: Course) -> bool:
    """Whether a fixed number of callers made these checkouts: often all were waiting or in use at the same time.

    Independent arrivals hardly ever reach their greatest number, a fixed set of busy threads reaches it all the time.
    """
    most = most_at_once(course)
    if most < _FEWEST or len(course.arrivals) < 50 * most:
        return False
    busy: list[float] = []
    full = 0
    for arrival, wait, use in zip(course.arrivals, course.waits, course.uses, strict=True):
        while busy and busy[0] <= arrival:
            heappop(busy)
        heappush(busy, arrival + wait + use)
        full += len(busy) == most
    return full >= _PLATEAU * len(course.arrivals)


def replay(callers: Sequence[Caller], size: int) -> list[float]:
    """The wait of each checkout in seconds, in the order in which they are asked for; first come, first served."""
    free = [float("-inf")] * size
    coming = [(caller.turns[0][0], number, 0) for number, caller in enumerate(callers) if caller.turns]
    heapify(coming)
    waits = []
    while coming:
        arrival, number, turn = coming[0]
        start = max(arrival, free[0])
        turns = callers[number].turns
        ended = start + turns[turn][1]
        heapreplace(free, ended)
        waits.append(start - arrival)
        if turn + 1 < len(turns):
            heapreplace(coming, (ended + turns[turn + 1][0], number, turn + 1))
        else:
            heappop(coming)
    return waits
