"""SQLAlchemy's QueuePool, event by event, as pool/impl.py and util/queue.py of SQLAlchemy 2.1 say it works.

- A checkout that finds an idle connection takes it. Else, while pool_size + max_overflow are not open, it opens one; else it
  waits. Who waits is woken in the order of arrival, but the connection is not handed over: it lies in the queue until the
  waiter has woken up, and a newcomer who arrives meanwhile takes it. The waiter then goes to the tail.
- A checkin puts the connection into the queue; when pool_size idle ones are there already, it is closed instead.
- A waiter gives up after pool_timeout. pool_recycle is the age since connecting, looked at on checkout only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.sizing.histogram import Histogram

WAKE_UP = 0.00008  # seconds from notify to a waiter that runs; 40 to 150 microseconds measured on 2 shared cores
_WAITED = 0.001  # seconds; what is shorter may be the work of a checkout, and no wait
_AT_ONCE = 0.0005
_AROUND = 0.05
_LONGEST_WAKE_UP = 0.005
_ENOUGH = 500  # waiters


class PoolModel(NamedTuple):
    """A pool to simulate. Durations are seconds; `recycle` -1 never.

    `connect` is what a new connection costs, `ping` what a pre-ping does (0: none), `wake_up` how long a waiter takes
    to run once it was woken.
    """

    size: int
    overflow: int = 0
    timeout: float = 30.0
    recycle: float = -1.0
    lifo: bool = False
    connect: float = 0.005
    ping: float = 0.0
    wake_up: float = WAKE_UP


@dataclass(slots=True)
class Simulated:
    """What a simulated pool did. `waits` counts from asking until the connection is there, opening it included.

    `served` and `timeouts` are checkouts; `connects` all connections opened, `thrown_away` those closed at checkin,
    `recycled` those replaced for their age; `connected` checkouts that paid for a new connection; `overtaken` how often
    a woken waiter found that a newcomer had been faster. `busy` are the seconds of use, `most_open` connections at once.
    """

    waits: Histogram = field(default_factory=Histogram)
    served: int = 0
    timeouts: int = 0
    connects: int = 0
    thrown_away: int = 0
    recycled: int = 0
    overtaken: int = 0
    most_open: int = 0
    busy: float = 0.0
    ended: float = 0.0

    @property
    def connected(self) -> int:
        """Checkouts that paid for a new connection: each is opened by the one that needs it."""
        return self.connects

    def add(self, other: Simulated) -> None:
        """What another pool of the fleet did, beside this one."""
        self.waits.merge(other.waits)
        self.served += other.served
        self.timeouts += other.timeouts
        self.connects += other.connects
        self.thrown_away += other.thrown_away
        self.recycled += other.recycled
        self.overtaken += other.overtaken
        self.most_open = max(self.most_open, other.most_open)
        self.busy += other.busy
        self.ended = max(self.ended, other.ended)


def wake_up_of(courses: Iterable[Course]) -> float:
    """How long a woken waiter takes to run, in seconds, as a recording shows it; WAKE_UP where too few waited to tell.

    A newcomer who was served at once while others waited came between the wake-up of one and its running. So the time is
    the number of these over the rate of arrivals, summed over all moments in which a waiter was served.
    """
    overtakers, exposed, waited = 0, 0.0, 0
    for course in courses:
        latest = float("-inf")
        for arrival, wait in zip(course.arrivals, course.waits, strict=True):
            start = arrival + wait
            overtakers += wait < _AT_ONCE and latest > start
            latest = max(latest, start)
            if wait > _WAITED:
                waited += 1
                exposed += _rate(course, start)
    return min(_LONGEST_WAKE_UP, overtakers / exposed) if waited >= _ENOUGH and exposed > 0 else WAKE_UP


def _rate(course: Course, moment: float) -> float:
    """Arrivals per second around this moment."""
    around = (moment - _AROUND / 2, moment + _AROUND / 2)
    first, last = (bisect_left(course.arrivals, edge) for edge in around)
    return (last - first) / _AROUND


class _Event(IntEnum):
    """Kinds of event; at the same moment a checkin comes first."""

    CHECKIN = 0
    AWAKE = 1
    GIVES_UP = 2


def simulate(courses: Iterable[Course], model: PoolModel) -> Simulated:
    """A pool of this model for each course. The waits are in the histogram, see Simulated."""
    whole = Simulated()
    for course in courses:
        whole.add(simulate_one(course.arrivals, course.uses, model)[0])
    return whole


def simulate_one(
    arrivals: Sequence[float], uses: Sequence[float], model: PoolModel
) -> tuple[Simulated, list[float | None]]:
    """One pool: what it did, and each checkout's wait in seconds in the order of arrival (None: it gave up)."""
    pool = _Pool(arrivals, uses, model)
    pool.run()
    done = [wait for wait in pool.waits if wait is not None]
    pool.did.waits.add(len(done), [wait for wait in done if wait > 0])
    return pool.did, pool.waits


class _Pool:
    """The state of one pool: idle connections (each its time of connecting), waiters, and what will happen next."""

    def __init__(self, arrivals: Sequence[float], uses: Sequence[float], model: PoolModel) -> None:
        self.arrivals, self.uses, self.model = arrivals, uses, model
        self.did = Simulated()
        self.waits: list[float | None] = [None] * len(arrivals)
        self.idle: deque[float] = deque()
        self.open = 0
        self.waiting: deque[int] = deque()
        self.done: set[int] = set()  # of those that waited
        self.awake: set[int] = set()
        # (when, kind, checkout that it concerns, when its connection was opened)
        self.events: list[tuple[float, int, int, float]] = []

    def run(self) -> None:
        events = self.events
        for index, arrival in enumerate(self.arrivals):
            while events and events[0][0] <= arrival:
                self._happen(*heappop(events))
            self._arrive(index, arrival)
        while events:
            self._happen(*heappop(events))

    def _happen(self, now: float, kind: int, index: int, opened: float) -> None:
        if kind == _Event.CHECKIN:
            self._checkin(now, opened)
        elif kind == _Event.AWAKE:
            self._wake(index, now)
        elif index not in self.done and index not in self.awake:
            self.waiting.remove(index)
            self._give_up(index, now)

    def _arrive(self, index: int, now: float) -> None:
        if self.idle:
            self._take(index, now)
        elif self._may_open:
            self._open(index, now)
        else:
            self.waiting.append(index)
            heappush(self.events, (now + self.model.timeout, _Event.GIVES_UP, index, 0.0))

    @property
    def _may_open(self) -> bool:
        model = self.model
        return not model.size or model.overflow < 0 or self.open < model.size + model.overflow

    def _take(self, index: int, now: float) -> None:
        opened = self.idle.pop() if self.model.lifo else self.idle.popleft()
        if 0 <= self.model.recycle < now - opened:
            self.did.recycled += 1
            self._connect(index, now)
        else:
            self._use(index, now, now + self.model.ping, opened)

    def _open(self, index: int, now: float) -> None:
        self.open += 1
        self.did.most_open = max(self.did.most_open, self.open)
        self._connect(index, now)

    def _connect(self, index: int, now: float) -> None:
        self.did.connects += 1
        self._use(index, now, now + self.model.connect, now)

    def _use(self, index: int, taken: float, ready: float, opened: float) -> None:
        ends = ready + self.uses[index]
        self.waits[index] = ready - self.arrivals[index]
        self.did.served += 1
        self.did.busy += ends - taken
        heappush(self.events, (ends, _Event.CHECKIN, index, opened))

    def _checkin(self, now: float, opened: float) -> None:
        self.did.ended = now
        if self.model.size and len(self.idle) >= self.model.size:
            self.open -= 1
            self.did.thrown_away += 1
            return
        self.idle.append(opened)
        if self.waiting:
            index = self.waiting.popleft()
            self.awake.add(index)
            heappush(self.events, (now + self.model.wake_up, _Event.AWAKE, index, 0.0))

    def _wake(self, index: int, now: float) -> None:
        self.awake.discard(index)
        if self.idle:
            self.done.add(index)
            self._take(index, now)
            return
        self.did.overtaken += 1
        if now - self.arrivals[index] >= self.model.timeout:
            self._give_up(index, now)
        else:
            self.waiting.append(index)

    def _give_up(self, index: int, now: float) -> None:
        """One last look, as `_do_get` takes it, before the error."""
        self.done.add(index)
        if self.idle:
            self._take(index, now)
        elif self._may_open:
            self._open(index, now)
        else:
            self.did.timeouts += 1
