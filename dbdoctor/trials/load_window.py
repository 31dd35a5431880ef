"""The part of a demand that is run for real: a window of one process's checkouts, with its busiest time in it; pure."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from dbdoctor.model.demand import Course, Stated, Trace

_BURST = 3.0  # the busiest second's rate where it was not stated
_EVERY = 10.0  # seconds from one busiest second to the next


def window(demand: Trace | Stated, seconds: float, seed: int = 1) -> Course:
    """At most so many seconds of demand, arrivals from 0 on: the stretch of any process with the most use in it.

    Stated figures are made into a demand: independent arrivals, exponential uses, and a busiest second in ten.
    """
    if isinstance(demand, Stated):
        return _made(demand, seconds, seed)
    return max((_busiest(course, seconds) for course in demand.courses), key=lambda course: sum(course.uses))


def windows(demand: Trace | Stated, seconds: float, most: int, seed: int = 1) -> list[Course]:
    """The same stretch of time of several processes, `most` at most, those with the most use first.

    The stretch is that with the most use of all together; arrivals count from its beginning.
    """
    if most == 1:
        return [window(demand, seconds, seed)]
    if isinstance(demand, Stated):
        return [_made(demand, seconds, seed + number) for number in range(most)]
    begin = _busiest_moment(demand.courses, seconds)
    parts = [_between(course, begin, begin + seconds) for course in demand.courses]
    return sorted((part for part in parts if part.arrivals), key=lambda part: sum(part.uses), reverse=True)[:most]


def merged(courses: Sequence[Course]) -> Course:
    """The demand of all of them as one process's: without a pool of its own it makes no difference who asks."""
    rows = sorted(row for course in courses for row in zip(*course[1:], strict=True))
    return Course(courses[0].process, *(array("d", column) for column in zip(*rows, strict=True)))


def _busiest_moment(courses: Sequence[Course], seconds: float) -> float:
    rows = sorted(row for course in courses for row in zip(course.arrivals, course.uses, strict=True))
    best = rows[0][0]
    within = most = 0.0
    last = 0
    for arrival, use in rows:
        while last < len(rows) and rows[last][0] < arrival + seconds:
            within += rows[last][1]
            last += 1
        if within > most:
            most, best = within, arrival
        within -= use
    return best


def _between(course: Course, begin: float, end: float) -> Course:
    first, last = (bisect_left(course.arrivals, edge) for edge in (begin, end))
    arrivals = array("d", (arrival - begin for arrival in course.arrivals[first:last]))
    return Course(course.process, arrivals, course.waits[first:last], course.uses[first:last])


def _busiest(course: Course, seconds: float) -> Course:
    sums = [0.0, *accumulate(course.uses)]
    best, begin, end = -1.0, 0, 0
    for first, arrival in enumerate(course.arrivals):
        last = bisect_left(course.arrivals, arrival + seconds)
        if sums[last] - sums[first] > best:
            best, begin, end = sums[last] - sums[first], first, last
    return _part(course, begin, end)


def _part(course: Course, begin: int, end: int) -> Course:
    origin = course.arrivals[begin] if end > begin else 0.0
    arrivals = array("d", (arrival - origin for arrival in course.arrivals[begin:end]))
    return Course(course.process, arrivals, course.waits[begin:end], course.uses[begin:end])


def _made(stated: Stated, seconds: float, seed: int) -> Course:
    """The mean rate is the stated one; a second in the middle of the window, and one in ten around it, has the burst's."""
    draw = random.Random(seed)  # noqa: S311 - a demand, no secret
    burst = min(stated.burst or _BURST, _EVERY)
    busy, calm = stated.rate * burst, stated.rate * (_EVERY - burst) / (_EVERY - 1)
    middle = seconds / 2
    arrivals, now = array("d"), 0.0
    while (now := now + draw.expovariate(busy)) < seconds:
        in_burst = (now - middle) % _EVERY < 1
        if in_burst or draw.random() * busy < calm:
            arrivals.append(now)
    uses = array("d", (draw.expovariate(1 / stated.use) for _ in arrivals))
    return Course("", arrivals, array("d", bytes(8 * len(arrivals))), uses)
