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
_SPREAD_OF_WINDOW = 1.0  # where the number in use is always the same, there is no slope to see
_PINNED = 0.5  # of the time
_SMALL = 4
_SPREAD = 25.0  # of logarithms, summed: below, the slope's standard error is more than a quarter


class Saturation(NamedTuple):
    """How use times depend on how many connections of all processes are in use.

    `knee` is how many at once the database works on at full speed (at most), `slope` by how much use times grow with
    the number in use (0 not, 1 in proportion; None where that hardly ever changes, being at its limit), `speed` the
    speed at `high` in use beside that at `low` in use, `use_low` and `use_high` the mean use times there in seconds,
    `throughput` checkouts per second at the busiest. `above` is the share of the time with more than `knee` in use.
    """

    knee: float
    slope: float | None
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
        return (self.slope is None or self.slope >= _SLOPE) and self.speed <= _SPEED and self.above >= 0.1


def look(courses: Sequence[Course]) -> Saturation | None:
    """What the recording says; None when it is too short, or when the number in use hardly ever changes."""
    if sum(len(course.arrivals) for course in courses) < _FEWEST:
        return None
    levels, points = _levels(slices(courses, MOST))
    slope, ends = _slope(points), _ends_of(levels)
    if ends is None or (slope is None and _share_at_limit(levels) < _PINNED):
        return None
    low, high = ends
    use_low, use_high = low.at_once / low.rate, high.at_once / high.rate
    knee = high.rate * use_low
    time = sum(level[0] for level in levels.values())
    above = sum(level[0] for at_once, level in levels.items() if at_once > knee + 0.5) / time
    speed = use_low / use_high
    return Saturation(knee, slope, speed, low.at_once, high.at_once, use_low, use_high, high.rate, above)


def always_full(courses: Sequence[Course]) -> int | None:
    """The number in use at which the recording stays most of the time; None where it does not, or where it is small.

    Then it does not show whether the pool (or the callers) or the database is what holds it there.
    """
    if sum(len(course.arrivals) for course in courses) < _FEWEST:
        return None
    levels, _ = _levels(slices(courses, MOST))
    full = max(levels, default=0) >= _SMALL and _share_at_limit(levels) >= _PINNED
    return max(levels) if full else None


def _share_at_limit(levels: dict[int, list[float]]) -> float:
    """The share of the time with anything in use in which (almost) the most ever were."""
    time = sum(level[0] for level in levels.values())
    limit = 0.9 * max(levels, default=0)
    return sum(level[0] for at_once, level in levels.items() if at_once >= limit) / time if time > 0 else 0.0


class _End(NamedTuple):
    """The quietest or the busiest part of the time: how many were in use on average, and how many ended each second."""

    at_once: float
    rate: float


def _levels(courses: Sequence[Course]) -> tuple[dict[int, list[float]], list[tuple[float, float]]]:
    """By number in use: [seconds, checkouts that ended]; and of each checkout (in use with it on average, use time)."""
    edges: list[tuple[float, int, int]] = []
    for course in courses:
        for arrival, wait, use in zip(course.arrivals, course.waits, course.uses, strict=True):
            begin = arrival + wait
            edges.append((begin, 1, len(edges) // 2))
            edges.append((begin + use, -1, len(edges) // 2))
    edges.sort()
    levels: dict[int, list[float]] = {}
    begun: dict[int, tuple[float, float]] = {}
    points: list[tuple[float, float]] = []
    at_once, last, together = 0, edges[0][0], 0.0
    for moment, step, number in edges:
        level = levels.setdefault(at_once, [0.0, 0.0])
        level[0] += moment - last
        together += at_once * (moment - last)
        last = moment
        if step > 0:
            begun[number] = moment, together
        else:
            level[1] += 1
            begin, before = begun.pop(number, (moment, together))
            if moment > begin:
                points.append(((together - before) / (moment - begin), moment - begin))
        at_once += step
    levels.pop(0, None)
    return levels, points


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Of log(use time) over log(number in use): the median of the slopes in windows.

    Within windows, so that a night's other work does not count; the median, so that the evening does not either.
    """
    each = max(20, len(points) // _WINDOWS)
    slopes, total = [], 0.0
    for begin in range(0, len(points), each):
        logs = [(math.log(at_once), math.log(use)) for at_once, use in points[begin : begin + each]]
        mean_x = math.fsum(x for x, _ in logs) / len(logs)
        mean_y = math.fsum(y for _, y in logs) / len(logs)
        spread = math.fsum((x - mean_x) ** 2 for x, _ in logs)
        if spread > _SPREAD_OF_WINDOW:
            slopes.append(math.fsum((x - mean_x) * (y - mean_y) for x, y in logs) / spread)
            total += spread
    return sorted(slopes)[len(slopes) // 2] if total > _SPREAD else None


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
