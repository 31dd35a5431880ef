"""Replays recorded demand through pools of every size: the Kiefer-Wolfowitz recursion over a heap of free times.

The queue here is first come, first served. SQLAlchemy's is not quite (see `barging`), which shows in the longest waits and
hardly in the mean or in p99; in exchange this goes through millions of checkouts a second.
Kiefer and Wolfowitz, "On the theory of queues with many servers" (1955).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapreplace
from itertools import pairwise
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.model.sizing import SizePoint
from dbdoctor.sizing.histogram import Histogram

WINDOWS = 30  # blocks for the bootstrap; fewer say little of the range, more make them shorter than a burst


class Window(NamedTuple):
    """A block of consecutive checkouts of one course: where it begins and ends, its histogram for each size."""

    course: int
    start: int
    stop: int


class Sweep(NamedTuple):
    """Waits by size: `windows[size][i]` is the histogram of the i-th window; `busy` is connections in use on average.

    `busy` is the offered load of one process: use time over span, averaged over the processes by their checkouts.
    """

    sizes: tuple[int, ...]
    windows: dict[int, list[Histogram]]
    busy: float

    def total(self, size: int) -> Histogram:
        """All windows of this size together."""
        total = Histogram()
        for window in self.windows[size]:
            total.merge(window)
        return total

    def point(self, size: int) -> SizePoint:
        """What is predicted with this many connections in a process."""
        total = self.total(size)
        p50, p95, p99 = total.quantiles((0.50, 0.95, 0.99))
        return SizePoint(size, total.mean, p50, p95, p99, total.longest, total.waited, min(1.0, self.busy / size))

    def meets(self, size: int, share: float, wait: float) -> bool:
        """Whether this share of the checkouts waits at most so many seconds."""
        total = self.total(size)
        return total.above(wait) <= (1 - share) * total.count


def sweep(
    courses: Sequence[Course],
    sizes: Iterable[int],
    *,
    handoff: float = 0.0,
    extra_use: float = 0.0,
    progress: Callable[[int], None] = lambda _size: None,
) -> Sweep:
    """Every course through a pool of each size (a pool for each process).

    `handoff` is how long a waiter takes to wake up, `extra_use` what is added to every use (a pre-ping), in seconds.
    `progress` is told each size when it is done. Once nobody waits, nobody waits in a larger pool.
    """
    windows = windows_of(courses)
    found: dict[int, list[Histogram]] = {}
    waited = True
    for size in sorted(set(sizes)):
        if waited:
            found[size] = _histograms(courses, windows, size, handoff, extra_use)
            waited = any(one.bins for one in found[size])
        else:
            found[size] = [_nobody(window) for window in windows]
        progress(size)
    return Sweep(tuple(found), found, offered_load(courses, extra_use))


def replay(
    arrivals: Sequence[float], uses: Sequence[float], size: int, *, handoff: float = 0.0, extra_use: float = 0.0
) -> list[float]:
    """The wait of each checkout, in seconds, in the order of arrival; a pool of `size`, first come first served."""
    free = [float("-inf")] * size
    return list(_each_wait(free, arrivals, uses, handoff, extra_use))


def _each_wait(
    free: list[float], arrivals: Iterable[float], uses: Iterable[float], handoff: float, extra_use: float
) -> Iterator[float]:
    replace = heapreplace
    for arrival, use in zip(arrivals, uses, strict=True):
        start = free[0]
        if start > arrival:
            start += handoff
            yield start - arrival
            replace(free, start + use + extra_use)
        else:
            yield 0.0
            replace(free, arrival + use + extra_use)


def _waits_only(
    free: list[float], arrivals: Iterable[float], uses: Iterable[float], handoff: float, extra_use: float
) -> list[float]:
    """The waits of those that waited; `free` is the state of the pool, and is left as it is after the last."""
    waits: list[float] = []
    waited, replace = waits.append, heapreplace
    for arrival, use in zip(arrivals, uses, strict=True):
        start = free[0]
        if start > arrival:
            start += handoff
            waited(start - arrival)
            replace(free, start + use + extra_use)
        else:
            replace(free, arrival + use + extra_use)
    return waits


def _histograms(
    courses: Sequence[Course], windows: Sequence[Window], size: int, handoff: float, extra_use: float
) -> list[Histogram]:
    found = []
    free: list[float] = []
    for window in windows:
        if window.start == 0:
            free = [float("-inf")] * size
        course = courses[window.course]
        part = slice(window.start, window.stop)
        histogram = Histogram()
        histogram.add(
            window.stop - window.start, _waits_only(free, course.arrivals[part], course.uses[part], handoff, extra_use)
        )
        found.append(histogram)
    return found


def _nobody(window: Window) -> Histogram:
    histogram = Histogram()
    histogram.add(window.stop - window.start, ())
    return histogram


def windows_of(courses: Sequence[Course], wanted: int = WINDOWS) -> list[Window]:
    """The courses cut into about `wanted` blocks of equal numbers of checkouts; a short course is one block."""
    total = sum(len(course.arrivals) for course in courses)
    each = max(1, -(-total // wanted))
    windows = []
    for index, course in enumerate(courses):
        length = len(course.arrivals)
        parts = max(1, round(length / each))
        edges = [length * part // parts for part in range(parts + 1)]
        windows += [Window(index, start, stop) for start, stop in pairwise(edges) if stop > start]
    return windows


def offered_load(courses: Sequence[Course], extra_use: float = 0.0) -> float:
    """Connections in use on average in one process, in the mean over all checkouts; a process weighs as it is used."""
    weighted = total = 0.0
    for course in courses:
        checkouts, span = len(course.arrivals), course.span
        if span > 0:
            weighted += checkouts * (sum(course.uses) + checkouts * extra_use) / span
            total += checkouts
    return weighted / total if total else 0.0


def most_at_once(course: Course) -> int:
    """The most checkouts of this process that were waiting or in use at a time."""
    ends = array("d", sorted(map(sum, zip(course.arrivals, course.waits, course.uses, strict=True))))
    ended = most = 0
    for count, arrival in enumerate(course.arrivals, 1):
        while ends[ended] <= arrival and ended < count - 1:
            ended += 1
        most = max(most, count - ended)
    return most
