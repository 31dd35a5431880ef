"""A measurement in earnest: the course's wishes done to real connections, and what happens to these told to the course.

A connection that does not answer proves nothing where the server does not answer anybody: so each time one is opened
beside, and without it everything begins anew above what is known. The same where the machine was suspended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from dbdoctor.measure.clocks import Clocks
from dbdoctor.measure.course import Course
from dbdoctor.measure.link import Answered, Failed, Gone, Late, Opened, Touched
from dbdoctor.measure.links import Happened, Links
from dbdoctor.measure.plan import Plan, make_plan
from dbdoctor.model.measured import Bracket, Drop, MeasureOptions

# One connection after the other is opened, so many seconds apart: no burst on somebody's server, and where a device looks
# at its clock only now and then, ages that differ show how often.
_APART = 0.015
# And not more than so many at a time.
_AT_ONCE = 6
_GLANCE = 0.25
# So often everything may begin anew, and so long one waits for the server before that, in seconds.
_MOST_RESTARTS = 8
# After a witness answered, so long a late answer of those before it is waited for (seconds).
_HINDSIGHT = 0.3
_MOST_PATIENCE = 10.0
# With so many connections a measurement goes on when another cannot be opened.
_ENOUGH = 2
_COMES_BACK_WITHIN = 60.0
# Of what is known to be harmless, after how much TCP probes the connections that are kept alive.
_KEEPALIVE_SHARE = 0.25
_KEPT_ALIVE = 2
# The server's or an operator's word for an end that has nothing to do with idling.
_NOT_IDLE = frozenset({"57P01", "57P02", "57P03", "57P04"})


class State(NamedTuple):
    """How far it is, for whoever shows progress: seconds since the start, what is known, the most it can still take."""

    elapsed: float
    bracket: Bracket
    remaining: float
    open: int
    refining: bool


class Found(NamedTuple):
    """What came of it. `done` says that it is an answer; else it was interrupted, or given up (`notes` say why)."""

    bracket: Bracket
    drop: Drop
    said: str | None
    seen: int
    opened: int
    keepalive_resets_it: bool | None
    done: bool
    notes: tuple[str, ...]
    took: float


class Measurement:
    """One measurement over `links`. `trip` is the round trip in seconds; `bracket` what an earlier one knew already."""

    def __init__(
        self,
        links: Links,
        options: MeasureOptions,
        known: tuple[float, ...],
        *,
        trip: float,
        bracket: Bracket | None = None,
        on_state: Callable[[State], None] = lambda _state: None,
    ) -> None:
        self._links = links
        self._options = options
        self._known = known
        self._trip = trip
        self._on_state = on_state
        self._clocks = Clocks()
        self._started = self._begun = time.monotonic()
        self._bracket = bracket or Bracket()
        self._plan, self._course = self._make_course()
        self._notes: list[str] = []
        self._restarts = 0
        self._seen = 0
        self._given_up = False
        # Opened beside, since somebody did not answer: whether the server answers at all.
        self._witness: int | None = None
        self._proven = True
        # When a witness answered: what hung until then has this moment more to answer, too.
        self._witnessed: float | None = None
        self._waiting: set[int] = set()
        self._kept: dict[int, float | None] = {}
        self._kept_seconds = 0
        self._keepalive: bool | None = None
        self._next_open = 0.0

    @property
    def found(self) -> Found:
        """What is known now."""
        course = self._course
        done = course.done and self._proven and not self._given_up
        return Found(
            course.bracket,
            course.drop if done else Drop.NONE,
            course.said,
            self._seen + course.seen,
            self._links.opened,
            self._keepalive,
            done,
            tuple(self._notes),
            time.monotonic() - self._started,
        )

    @property
    def plan(self) -> Plan:
        """The first pass in force."""
        return self._plan

    def run(self) -> Found:
        """Until there is an answer. KeyboardInterrupt comes through; `found` has then what is known."""
        self._clocks = Clocks()
        self._started = self._begun = time.monotonic()
        while not self._given_up and not (self._course.done and self._proven):
            self._turn()
        if self._course.done and not self._given_up:
            self._ask_the_kept()
        return self.found

    # One turn of the loop

    def _turn(self) -> None:
        now = time.monotonic()
        disturbed = self._clocks.disturbance()
        if disturbed:
            self._begin_anew(f"{disturbed}; what was idle then was not counted")
            return
        if self._witnessed is not None and now >= self._witnessed + _HINDSIGHT:
            self._proven, self._witnessed = True, None
        self._open_some(now)
        for number in self._course.due(now):
            self._course.used(number, time.monotonic())
            self._links.use(number)
        self._keep_alive()
        for one in self._wait():
            self._take(one)
        self._course.look(time.monotonic())
        if self._course.trouble:
            self._begin_anew("all connections ended at one moment, whatever their age; that is not an idle timeout")
        self._on_state(self._state())

    def _wait(self) -> list[Happened]:
        now = time.monotonic()
        due = self._course.next_due()
        seconds = _GLANCE if due is None else min(_GLANCE, max(0.0, due - now))
        if self._course.missing() > len(self._waiting) and self._links.opening < _AT_ONCE:
            seconds = min(seconds, max(0.0, self._next_open - now))
        self._clocks.will_wait(seconds)
        return list(self._links.wait(seconds))

    def _open_some(self, now: float) -> None:
        for number in self._course.surplus():
            self._course.lost(number)
            self._links.close(number)
        if now < self._next_open or self._links.opening >= _AT_ONCE:
            return
        if self._options.keepalive and len(self._kept) < _KEPT_ALIVE:
            self._kept[self._links.open()] = None
        elif not self._proven and self._witness is None and self._witnessed is None:
            self._witness = self._links.open(within=self._links.patience)
        elif self._course.missing() > len(self._waiting):
            self._waiting.add(self._links.open())
        else:
            return
        self._next_open = now + _APART

    def _take(self, one: Happened) -> None:
        """Tell the course what happened to a connection of its own; the others are ours to judge."""
        number, event = one.number, one.event
        if number in self._kept:
            self._take_kept(one)
        elif isinstance(event, Opened):
            self._take_opened(number, event, one.at)
        elif isinstance(event, Failed):
            self._take_failed(number, event)
        elif isinstance(event, Late):
            self._links.patience = min(_MOST_PATIENCE, 2 * self._links.patience)
            self._begin_anew("the server or the network was slow to answer for a moment; that is not an idle timeout")
        elif number not in self._course.seats:
            if isinstance(event, Gone) and number == self._witness:
                self._witness = None
        elif isinstance(event, Answered):
            self._course.answered(number, one.at)
        elif isinstance(event, Touched):
            self._course.touched(number, one.at)
        else:
            self._take_gone(one, event)

    def _take_opened(self, number: int, event: Opened, at: float) -> None:
        if number == self._witness:
            self._witness, self._witnessed = None, at
            self._links.close(number)
            return
        self._waiting.discard(number)
        self._course.opened(number, event.sent, at)

    def _take_failed(self, number: int, event: Failed) -> None:
        self._waiting.discard(number)
        there = len(self._course.seats)
        if number != self._witness and there >= _ENOUGH:
            self._course.make_do_with(there)
            self._note(f"no more than {there} connections at once, since another could not be opened ({event.words})")
            return
        if number == self._witness:
            self._witness = None
            self._begin_anew("the server answered nobody for a moment; that is not an idle timeout")
            return
        self._begin_anew(f"a connection could not be opened ({event.words})")

    def _take_gone(self, one: Happened, event: Gone) -> None:
        if event.sqlstate in _NOT_IDLE:
            self._begin_anew(f"the server ended connections for another reason ({event.said})")
        elif one.in_use:
            if event.drop is Drop.SILENT:
                self._call_a_witness()
            on_use = Drop.RESET_ON_USE if event.drop is Drop.RESET else event.drop
            self._course.unanswered(one.number, one.at, on_use)
        else:
            self._course.ended(one.number, one.at, one.looked, event.drop, event.said)

    def _call_a_witness(self) -> None:
        """Open a connection beside, after the silence: it has to answer as promptly as the others should have."""
        if self._witness is not None:
            self._links.close(self._witness)
        self._proven, self._witness, self._witnessed = False, None, None

    # Connections that TCP keeps alive

    def _keep_alive(self) -> None:
        wanted = max(1, int(self._course.bracket.at_least * _KEEPALIVE_SHARE))
        if wanted >= 2 * self._kept_seconds:
            self._kept_seconds = wanted
            for number in self._kept:
                self._links.set_keepalive(number, wanted)

    def _take_kept(self, one: Happened) -> None:
        if isinstance(one.event, Opened):
            self._kept[one.number] = one.at
            self._links.set_keepalive(one.number, self._kept_seconds or 1)
        elif isinstance(one.event, Answered):
            self._keepalive = True
        elif isinstance(one.event, Gone):
            self._keepalive = False
            self._kept[one.number] = None
        elif isinstance(one.event, Failed):
            del self._kept[one.number]

    def _ask_the_kept(self) -> None:
        """Whether those that TCP probed all the time are still there, now that they idle for longer than the timeout."""
        high = self._course.bracket.at_most
        if not self._kept or high is None:
            return
        since = [at for at in self._kept.values() if at is not None]
        while since and self._keepalive is None and time.monotonic() < max(since) + high * 1.02 + self._trip:
            self._listen_to_kept(_GLANCE)
        for number, at in self._kept.items():
            if at is not None and self._keepalive is None:
                self._links.use(number)
        waiting = sum(at is not None for at in self._kept.values())
        while waiting and self._keepalive is None:
            self._listen_to_kept(_GLANCE)

    def _listen_to_kept(self, seconds: float) -> None:
        for one in self._links.wait(seconds):
            if one.number in self._kept:
                self._take_kept(one)

    # Beginning anew

    def _note(self, words: str) -> None:
        if words not in self._notes:
            self._notes.append(words)

    def _make_course(self) -> tuple[Plan, Course]:
        options = self._options
        plan = make_plan(
            options.up_to, options.resolution, options.connections, self._known, above=self._bracket.at_least
        )
        return plan, Course(plan, options.resolution, bracket=self._bracket, trip=self._trip)

    def _begin_anew(self, why: str) -> None:
        self._note(why)
        self._seen += 0 if self._course.trouble else self._course.seen
        self._bracket = Bracket(self._course.bracket.at_least, None)
        self._links.close_all()
        self._waiting.clear()
        self._kept.clear()
        self._witness = self._witnessed = None
        self._proven = True
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS or not self._comes_back():
            self._given_up = True
        self._plan, self._course = self._make_course()
        self._begun = time.monotonic()
        self._clocks = Clocks()

    def _comes_back(self) -> bool:
        """Wait until the server takes a connection again."""
        until = time.monotonic() + _COMES_BACK_WITHIN
        while time.monotonic() < until:
            number = self._links.open()
            while number in self._links:
                for one in self._links.wait(_GLANCE):
                    if isinstance(one.event, Opened):
                        self._links.close(number)
                        return True
            time.sleep(_GLANCE)
        self._notes.append("the server took no connection any more")
        return False

    def _state(self) -> State:
        now = time.monotonic()
        bracket = self._course.bracket
        passed = now - self._begun
        remaining = self._plan.longest - passed if bracket.at_most is None else 1.3 * bracket.at_most
        return State(
            now - self._started, bracket, max(0.0, remaining), len(self._links), refining=bracket.at_most is not None
        )
