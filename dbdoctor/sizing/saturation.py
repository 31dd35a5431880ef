"""Whether the recorded database was the bottleneck, and more at work at once got no more done.

While connections only wait for each other's turn in the pool, n in use end n times as many checkouts a second as one, and
how long a checkout is in use has nothing to do with how many others are. Where the database is the bottleneck, the number of
checkouts that end each second stays the same however many are in use, and each one takes longer for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.sizing.demand import slices

MOST = 200_000  # checkouts that are looked at
_FEWEST = 500
_SLOPE = 0.4  # 0: use times do not depend on how many are in use; 1: they are in proportion
_SPEED = 0.6  # each one's speed at the busiest, beside that at the quietest
_WINDOWS = 30
_SPREAD = 25.0  # of logarithms, summed: below, the slope's standard error is more than a quarter


class Saturation(NamedTuple):
    """How use times depend on how many connections of all processes are in use.

    `knee` is how many at once the database works on at full speed (at most), `slope` by how much use times grow with
    the number in use (0 not, 1 in proportion), `speed` the speed at `high` in use beside that at `low` in use,
    `use_low` and `use_high` the mean use times there in seconds, `throughput` checkouts per second at the busiest.
    `above` is the share of the time with more than `knee` in use.
    """

    knee: float
    slope: float
    speed: float
    low: float
    high: float
    use_low: float
    use_high: float
    throughput: float
    above: float

    @property
    def saturated(self) -> bool:
        """Whether the database is the bottleneck for a good part of the time."""
        return self.slope >= _SLOPE and self.speed <= _SPEED and self.above >= 0.1


def look(courses: Sequence[Course]) -> Saturation | None:
    """What the recording says; None when it is too short, or when the number in use hardly ever changes."""
    if sum(len(course.arrivals) for course in courses) < _FEWEST:
        return None
    levels, starts = _levels(slices(courses, MOST))
    slope = _slope(starts)
    ends = _ends_of(levels)
    if slope is None or ends is None:
        return None
    low, high = ends
    use_low, use_high = low.at_once / low.rate, high.at_once / high.rate
    knee = high.rate * use_low
    time = sum(level[0] for level in levels.values())
    above = sum(level[0] for at_once, level in levels.items() if at_once > knee + 0.5) / time
    speed = use_low / use_high
    return Saturation(knee, slope, speed, low.at_once, high.at_once, use_low, use_high, high.rate, above)


class _End(NamedTuple):
    """The quietest or the busiest part of the time: how many were in use on average, and how many ended each second."""

    at_once: float
    rate: float


def _levels(courses: Sequence[Course]) -> tuple[dict[int, list[float]], list[tuple[int, float]]]:
    """By number in use: [seconds, checkouts that ended]; and for each checkout that began: (in use with it, use time)."""
    edges = []
    for course in courses:
        for arrival, wait, use in zip(course.arrivals, course.waits, course.uses, strict=True):
            edges.append((arrival + wait, use))
            edges.append((arrival + wait + use, -1.0))
    edges.sort()
    levels: dict[int, list[float]] = {}
    starts: list[tuple[int, float]] = []
    at_once, last = 0, edges[0][0]
    for moment, use in edges:
        level = levels.setdefault(at_once, [0.0, 0.0])
        level[0] += moment - last
        last = moment
        if use < 0:
            level[1] += 1
            at_once -= 1
        else:
            at_once += 1
            starts.append((at_once, use))
    levels.pop(0, None)
    return levels, starts


def _slope(starts: Sequence[tuple[int, float]]) -> float | None:
    """Of log(use time) over log(number in use), within windows, so that a night's other work does not count."""
    each = max(20, len(starts) // _WINDOWS)
    together = spread = 0.0
    for begin in range(0, len(starts), each):
        points = [(math.log(at_once), math.log(use)) for at_once, use in starts[begin : begin + each] if use > 0]
        if len(points) < 2:
            continue
        mean_x = math.fsum(x for x, _ in points) / len(points)
        mean_y = math.fsum(y for _, y in points) / len(points)
        together += math.fsum((x - mean_x) * (y - mean_y) for x, y in points)
        spread += math.fsum((x - mean_x) ** 2 for x, _ in points)
    return together / spread if spread > _SPREAD else None


def _ends_of(levels: dict[int, list[float]]) -> tuple[_End, _End] | None:
    """The quietest and the busiest tenth of the time with anything in use; None where they are much the same.

    Where even the quietest tenth is at the limit, the moments before it was reached must do.
    """
    time = sum(level[0] for level in levels.values())
    high = _part(levels, sorted(levels, reverse=True), time / 10)
    for enough in (time / 10, 0.0):
        low = _part(levels, sorted(levels), enough)
        if low and high and high.at_once >= 1.5 * low.at_once:
            return low, high
    return None


def _part(levels: dict[int, list[float]], order: list[int], enough: float) -> _End | None:
    seconds = ended = weighted = 0.0
    for at_once in order:
        seconds += levels[at_once][0]
        ended += levels[at_once][1]
        weighted += at_once * levels[at_once][0]
        if seconds >= enough and ended >= 30:
            return _End(weighted / seconds, ended / seconds)
    return None
