"""A pool in front of a database that is the bottleneck: so many cores, shared evenly by all that is in use at a time.

Replaying use times as they were is wrong when they are the database's own: with fewer connections at work each is done
sooner. Here a checkout brings work (the use time that it would have alone), and n at once each get min(1, cores / n).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from dbdoctor.model.demand import Course


@dataclass(slots=True)
class Shared:
    """Each checkout's wait and use in seconds, in the order of arrival; `ended` when the last was done."""

    waits: list[float] = field(default_factory=list)
    uses: list[float] = field(default_factory=list)
    ended: float = 0.0

    @property
    def responses(self) -> list[float]:
        """Wait and use together, seconds."""
        return [wait + use for wait, use in zip(self.waits, self.uses, strict=True)]


def simulate(arrivals: Sequence[float], work: Sequence[float], pools: Sequence[int], size: int, cores: float) -> Shared:
    """Checkouts by arrival, each of one of several pools of `size`, all at work on the same `cores`.

    `work` is seconds of use alone on the server; `pools` the number of each checkout's pool, from 0.
    """
    server = _Server(arrivals, work, pools, size, cores)
    for index, arrival in enumerate(arrivals):
        server.until(arrival)
        server.arrive(index)
    server.until(math.inf)
    return server.done


class _Server:
    """Virtual time is the work that each checkout in use has had; one is done when its own share is through."""

    def __init__(
        self, arrivals: Sequence[float], work: Sequence[float], pools: Sequence[int], size: int, cores: float
    ) -> None:
        self.arrivals, self.work, self.pools, self.size, self.cores = arrivals, work, pools, size, cores
        self.done = Shared([0.0] * len(arrivals), [0.0] * len(arrivals))
        self.now = self.virtual = 0.0
        self.at_work: list[tuple[float, int]] = []
        self.began = [0.0] * len(arrivals)
        self.taken = [0] * (max(pools, default=0) + 1)
        self.waiting: list[deque[int]] = [deque() for _ in self.taken]

    def until(self, moment: float) -> None:
        """Lets time go on, and ends what is done by then."""
        while self.at_work:
            speed = min(1.0, self.cores / len(self.at_work))
            ends = self.now + (self.at_work[0][0] - self.virtual) / speed
            if ends > moment:
                self.virtual += (moment - self.now) * speed
                self.now = moment
                return
            self.virtual, index = heappop(self.at_work)
            self.now = ends
            self._end(index)
        if moment != math.inf:
            self.now = moment

    def arrive(self, index: int) -> None:
        """A checkout at its time of arrival, which is now."""
        pool = self.pools[index]
        if self.taken[pool] < self.size:
            self.taken[pool] += 1
            self._begin(index)
        else:
            self.waiting[pool].append(index)

    def _begin(self, index: int) -> None:
        self.began[index] = self.now
        self.done.waits[index] = self.now - self.arrivals[index]
        heappush(self.at_work, (self.virtual + self.work[index], index))

    def _end(self, index: int) -> None:
        pool = self.pools[index]
        self.done.uses[index] = self.now - self.began[index]
        self.done.ended = self.now
        if self.waiting[pool]:
            self._begin(self.waiting[pool].popleft())
        else:
            self.taken[pool] -= 1


def work_of(courses: Sequence[Course], cores: float) -> list[list[float]]:
    """What each recorded checkout would have taken alone on the server, in seconds, by course.

    A checkout in use beside n others got min(1, cores / n) of a second each second; its work is the sum of that.
    """
    edges: list[tuple[float, int, int, int]] = []
    for number, course in enumerate(courses):
        for index, (arrival, wait, use) in enumerate(zip(course.arrivals, course.waits, course.uses, strict=True)):
            edges.append((arrival + wait, 1, number, index))
            edges.append((arrival + wait + use, -1, number, index))
    edges.sort()
    work = [[0.0] * len(course.arrivals) for course in courses]
    at_once, last, virtual = 0, 0.0, 0.0
    for moment, step, number, index in edges:
        if at_once > 0:
            virtual += (moment - last) * min(1.0, cores / at_once)
        last = moment
        at_once += step
        work[number][index] = virtual if step > 0 else virtual - work[number][index]
    return [[max(0.0, one) for one in each] for each in work]
