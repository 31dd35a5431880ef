"""A path with an idle timeout, and a measurement of it in simulated time."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, field

from dbdoctor.measure.course import Course
from dbdoctor.measure.plan import make_plan
from dbdoctor.model.measured import Bracket, Drop

KNOWN = (240.0, 300.0, 350.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0)
ANNOUNCED = (Drop.RESET, Drop.CLOSED, Drop.SERVER_ERROR)


@dataclass
class Path:
    """A path that ends connections after `timeout` idle seconds (None: never), looking each `tick` seconds."""

    timeout: float | None
    drop: Drop = Drop.SILENT
    trip: float = 0.02
    patience: float = 1.0
    login: float = 0.05
    tick: float = 0.0
    late: float = 0.0
    accidents: frozenset[int] = frozenset()
    outage_at: float | None = None


@dataclass
class Run:
    """What came of it."""

    bracket: Bracket
    drop: Drop
    seconds: float
    most_open: int
    opened: int
    uses: int
    trouble: bool = False


@dataclass
class Simulation:
    path: Path
    course: Course
    connections: int
    now: float = 0.0
    most: int = 0
    uses: int = 0
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    events: list[tuple[float, int, str, int, float]] = field(default_factory=list)
    order: itertools.count[int] = field(default_factory=itertools.count)
    # When the device last saw something of each connection.
    passed: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    opened: int = 0

    def at(self, moment: float, what: str, number: int, mark: float = 0.0) -> None:
        heapq.heappush(self.events, (moment, next(self.order), what, number, mark))

    def run(self) -> Run:
        if self.path.outage_at is not None:
            self.at(self.path.outage_at, "outage", -1)
        while not self.course.done and not self.course.trouble:
            self.act()
            due = self.course.next_due()
            moments = [self.events[0][0]] if self.events else []
            moments += [max(self.now, due) + self.path.late] if due is not None else []
            assert moments, "nothing will ever happen"
            self.now = max(self.now, min(moments))
            assert self.now < 1e7
            while self.events and self.events[0][0] <= self.now:
                self.happen(*heapq.heappop(self.events)[2:])
            self.course.look(self.now)
        return Run(
            self.course.bracket, self.course.drop, self.now, self.most, self.opened, self.uses, self.course.trouble
        )

    def act(self) -> None:
        for number in self.course.surplus():
            self.course.lost(number)
        for place in range(self.course.missing()):
            number = next(self.numbers)
            self.opened += 1
            # One after the other, as they are in earnest.
            ready = self.now + self.path.login * (1 + place / 2)
            self.course.opened(number, ready - self.path.trip, ready)
            self.pass_by(number, ready - self.path.trip / 2)
        self.most = max(self.most, len(self.course.seats))
        for number in self.course.due(self.now):
            self.use(number)

    def pass_by(self, number: int, moment: float) -> None:
        self.passed[number] = moment
        if self.path.timeout is not None and self.path.drop in ANNOUNCED:
            ends = moment + self.path.timeout
            if self.path.tick:
                ends = math.ceil(ends / self.path.tick) * self.path.tick
            self.ends[number] = ends
            self.at(ends + self.path.trip / 2, "end", number, moment)

    def use(self, number: int) -> None:
        self.uses += 1
        self.course.used(number, self.now)
        path = self.path
        arrives = self.now + path.trip / 2
        gone = path.timeout is not None and arrives - self.passed[number] > path.timeout
        if path.drop in ANNOUNCED:
            gone = arrives >= self.ends.get(number, math.inf)
        if number in path.accidents or (gone and path.drop is Drop.SILENT):
            self.at(self.now + path.patience, "silence", number)
        elif gone:
            self.at(self.now + path.trip, "reset", number)
        else:
            self.pass_by(number, arrives)
            self.at(self.now + path.trip, "answer", number)

    def happen(self, what: str, number: int, mark: float) -> None:
        if what == "outage":
            for one in list(self.course.seats):
                self.course.ended(one, self.now, self.now, Drop.CLOSED)
            return
        if number not in self.course.seats:
            return
        if what == "answer":
            self.course.answered(number, self.now)
        elif what == "silence":
            self.course.unanswered(number, self.now, Drop.SILENT)
        elif what == "reset":
            self.course.unanswered(number, self.now, Drop.RESET_ON_USE)
        elif mark == self.passed[number]:
            if self.course.seats[number].asked is not None:
                self.course.unanswered(number, self.now, self.path.drop)
            else:
                self.course.ended(number, self.now, self.now, self.path.drop)


def measure(
    path: Path,
    *,
    up_to: float = 1800.0,
    resolution: float = 0.02,
    connections: int = 24,
    bracket: Bracket | None = None,
) -> Run:
    """Measure it."""
    plan = make_plan(up_to, resolution, connections, KNOWN, above=bracket.at_least if bracket else 0.0)
    course = Course(plan, resolution, bracket=bracket, trip=path.trip)
    return Simulation(path, course, connections).run()
