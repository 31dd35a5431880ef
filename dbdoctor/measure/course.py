"""The course of a measurement: which connection is to be used when, and what was learnt; pure, told the time by others.

First pass: the ages of the plan, each on the connection that is free. A connection that answered began to idle anew, so
that when one does not answer there are others of many idle ages below the bracket: they go on to the ages inside it.
Nothing is believed that was seen on one connection alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from dbdoctor.measure.ends import GRACE, End, Verdict, bracket_of, judge_ends, tolerance
from dbdoctor.measure.plan import Plan, width
from dbdoctor.model.measured import Bracket, Drop

# Of the width that a bracket may have, what the ages inside it are apart: a use is late by a moment.
_CAREFUL = 0.8
# Between a round trip's end and the client's last acknowledgement, which counts as traffic, too (Linux: 40 ms).
_ACKNOWLEDGED = 0.045
# So often the same bracket is tried again; the answer is then wider than it should be.
_MOST_PASSES = 5


class Seat:
    """One connection: since when it is idle, at which idle age it is to be used, and since when it is being used.

    `sent` and `since` are the moments of the last byte sent to and received from it: its age is between the two.
    """

    def __init__(self, number: int, sent: float, since: float) -> None:
        self.number = number
        self.sent = sent
        self.since = since
        self.aim: float | None = None
        self.asked: float | None = None

    def age(self, now: float) -> float:
        """For how long it has been idle, at least."""
        return now - self.since

    @property
    def due(self) -> float | None:
        """When it is to be used."""
        return None if self.aim is None or self.asked is not None else self.since + self.aim


class Death(NamedTuple):
    """A connection that did not answer after at most so many idle seconds."""

    age: float
    drop: Drop


class Course:
    """What to do next, and what is known. `bracket` is what is known so far, `done` whether that is the answer.

    `trip` is the round trip in seconds. `trouble` is set when connections ended that were younger than others which live:
    that is no idle timeout, and everything is to begin anew above the bracket.
    """

    def __init__(self, plan: Plan, resolution: float, *, bracket: Bracket | None = None, trip: float = 0.0) -> None:
        self._plan = plan
        self._resolution = resolution
        self._trip = trip
        self._low = bracket.at_least if bracket else 0.0
        self._deaths: list[Death] = []
        self._ends: list[End] = []
        self._settle_at: float | None = None
        self._pending = self._ages_above(self._low)
        self._refining = False
        self._strange = 0
        # The bracket that the last passes began with, and how many of them.
        self._stuck: tuple[Bracket, int] = (Bracket(), 0)
        self._answer: Bracket | None = None
        self.seats: dict[int, Seat] = {}
        self.drop = Drop.NONE
        self.said: str | None = None
        self.trouble = False

    # What is known

    @property
    def bracket(self) -> Bracket:
        """Where the timeout lies, as far as is known."""
        if self._answer is not None:
            return self._answer
        return Bracket(self._low, min((death.age for death in self._deaths), default=None))

    @property
    def done(self) -> bool:
        """Whether there is an answer: a bracket narrow enough, or none up to the last age of the plan."""
        return self._answer is not None

    @property
    def seen(self) -> int:
        """How many connections were found ended."""
        return len(self._deaths) + len(self._ends)

    # What to do

    def missing(self) -> int:
        """How many connections are to be opened now."""
        if self.done or self.trouble:
            return 0
        return max(0, min(self._plan.connections - len(self.seats), len(self._pending)))

    def surplus(self) -> list[int]:
        """The connections that can tell nothing any more and stand in the way of new ones."""
        short = len(self._pending) - (self._plan.connections - len(self.seats))
        if self.done or short <= 0:
            return []
        return [seat.number for seat in self.seats.values() if seat.asked is None and seat.aim is None][:short]

    def due(self, now: float) -> list[int]:
        """The connections to be used now, the longest waiting first."""
        if self.done:
            return []
        waiting = [seat for seat in self.seats.values() if seat.due is not None and seat.due <= now]
        return [seat.number for seat in sorted(waiting, key=lambda seat: seat.due or 0.0)]

    def next_due(self) -> float | None:
        """When something is to be done next."""
        moments = [seat.due for seat in self.seats.values() if seat.due is not None]
        moments += [self._settle_at] if self._settle_at is not None else []
        return min(moments, default=None)

    def make_do_with(self, connections: int) -> None:
        """There cannot be more than so many at once: it takes longer."""
        self._plan = self._plan._replace(connections=max(1, connections))

    # What happened

    def opened(self, number: int, sent: float, at: float) -> None:
        """A connection was opened and idles since `at`."""
        seat = self.seats[number] = Seat(number, sent, at)
        self._give_aim(seat, at)

    def used(self, number: int, at: float) -> None:
        """It was used."""
        self.seats[number].asked = at

    def answered(self, number: int, at: float) -> None:
        """It answered, and idles anew."""
        seat = self.seats[number]
        assert seat.asked is not None
        self._survived(seat.asked - seat.since - _ACKNOWLEDGED)
        seat.sent, seat.since, seat.asked, seat.aim = seat.asked, at, None, None
        self._give_aim(seat, at)
        self._conclude(at)

    def unanswered(self, number: int, at: float, drop: Drop) -> None:
        """It did not answer, or with its end."""
        seat = self.seats.pop(number)
        assert seat.asked is not None
        age = seat.asked + self._trip - seat.sent
        if age <= self._low:  # others answered at a greater age
            self._strange += 1
            self.trouble = self._strange > 1
            self._pending = sorted({*self._pending, seat.aim or age})
            return
        before = self.bracket.at_most
        self._deaths.append(Death(age, drop))
        if not self._refining or before is None or age < before:
            self._turn(at)
        if not self.done:
            self._conclude(at)

    def ended(self, number: int, at: float, looked: float, drop: Drop, said: str | None = None) -> None:
        """It ended by itself between `looked` and `at`."""
        seat = self.seats.pop(number)
        self._ends.append(End(max(0.0, looked - seat.since), at - seat.sent, at, drop, said))
        if self._settle_at is None:
            self._settle_at = at + GRACE

    def touched(self, number: int, at: float) -> None:
        """Something came from the server that nobody asked for: it idles anew, until the same age."""
        self.seats[number].since = at

    def lost(self, number: int) -> None:
        """It is gone, and that says nothing: it was closed by us, or never opened."""
        seat = self.seats.pop(number, None)
        if seat is not None and seat.aim is not None:
            self._pending = sorted([*self._pending, seat.aim])

    def look(self, now: float) -> None:
        """Time has passed: judge the ends that were waited for."""
        if self._settle_at is not None and now >= self._settle_at:
            self._settle_at = None
            self._settle(now)

    # Inside: the first pass

    def _ages_above(self, low: float) -> list[float]:
        return [age for age in self._plan.ages if age > low + 1e-6]

    def _give_aim(self, seat: Seat, now: float) -> None:
        """The smallest age that nobody has yet, if it can still be reached."""
        for position, age in enumerate(self._pending):
            if age >= seat.age(now):
                seat.aim = self._pending.pop(position)
                return

    def _survived(self, age: float) -> None:
        self._low = max(self._low, age)
        before = len(self._deaths)
        self._deaths = [death for death in self._deaths if death.age > self._low]
        self._ends = [end for end in self._ends if end.age_high + tolerance(end.age_high) > self._low]
        if self._refining and before and not self._deaths:  # it was an accident: where the first pass was
            self._refining = False
            self._share_out(self._ages_above(self._low), None)

    # Inside: the second pass

    def _turn(self, now: float) -> None:
        """Somebody did not answer: from now on only the ages inside the bracket count."""
        high = self.bracket.at_most
        if high is None:
            return
        bracket = self.bracket
        self._stuck = (bracket, self._stuck[1] + 1 if self._stuck[0] == bracket else 1)
        if self._stuck[1] > _MOST_PASSES and len(self._deaths) > 1:
            self._finish()
            return
        self._refining = True
        self._share_out(list(self._inside(self._low, high)), now)

    def _inside(self, low: float, high: float) -> Iterator[float]:
        """The ages to be tried in the bracket; the last is its upper end again, since one silence may be an accident."""
        top = max(low, high - 2 * self._trip)  # an end's age is known up to two round trips
        cells = math.ceil((top - low) / (_CAREFUL * width(low, self._resolution)) - 1e-9)
        cells = min(max(2, cells), max(2, self._plan.connections - 1))
        if high - low <= self._wanted(high):
            cells = 1
        for number in range(1, cells):
            yield low + (top - low) * number / cells
        if cells == 1 or not self._is_confirmed(high):
            yield high + 2 * (self._trip + _ACKNOWLEDGED)  # beyond all doubt: an answer there is a contradiction

    def _share_out(self, ages: list[float], now: float | None) -> None:
        """Give the ages, ascending, to the connections that idle for longest without being beyond them."""
        idle = sorted((seat for seat in self.seats.values() if seat.asked is None), key=lambda seat: seat.since)
        for seat in idle:
            seat.aim = None
        self._pending = []
        high = self.bracket.at_most
        for age in ages:
            fitting = [one for one in idle if now is None or one.age(now) <= age]
            if now is not None and high is not None and age > high:
                # If one a little beyond the upper end does not answer either, that confirms, and at once.
                beyond = [one for one in idle if one.age(now) > age]
                near = [one for one in beyond if one.age(now) <= self._near(age)]
                fitting = near or fitting or beyond
            if not fitting:
                self._pending.append(age)
                continue
            seat = fitting[0]
            idle.remove(seat)
            seat.aim = age

    def _wanted(self, high: float) -> float:
        return width(high, self._resolution) + 2 * self._trip + _ACKNOWLEDGED

    # Inside: the answer

    def _conclude(self, now: float) -> None:
        high = self.bracket.at_most
        if high is None:
            if not self._pending and not self._ends and not any(s.aim is not None for s in self.seats.values()):
                self._answer = Bracket(self._low, None)
            return
        if self._ends:
            return  # it announces itself, and will be judged by that
        if high - self._low <= self._wanted(high) and self._is_confirmed(high):
            self._finish()
        elif not self._pending and not any(seat.aim is not None for seat in self.seats.values()):
            self._turn(now)

    def _is_confirmed(self, high: float) -> bool:
        """Whether a second one did not answer at nearly the same age."""
        return sum(death.age <= self._near(high) for death in self._deaths) > 1

    def _near(self, high: float) -> float:
        return high + self._wanted(high) + 4 * (self._trip + _ACKNOWLEDGED)

    def _finish(self) -> None:
        drops = [death.drop for death in self._deaths]
        self.drop = max(Drop, key=drops.count)
        self._answer = self.bracket

    def _settle(self, now: float) -> None:
        if not self._ends:
            return
        first = min(end.at for end in self._ends)
        ages = [seat.age(now) for seat in self.seats.values() if seat.asked is None and seat.since < first]
        verdict = judge_ends(self._ends, ages)
        if verdict is Verdict.TIMEOUT:
            drops = [end.drop for end in self._ends]
            self.drop = max(Drop, key=drops.count)
            self.said = next((end.said for end in self._ends if end.said), None)
            self._answer = bracket_of(self._ends, self._trip, self._resolution)
        elif verdict is Verdict.OUTAGE:
            self.trouble = True
        elif verdict is Verdict.ACCIDENT:
            self._ends = []
            self._pending = sorted({*self._pending, *self._ages_above(self._low)} - self._aims())
        else:
            self._wait_for_another()

    def _aims(self) -> set[float]:
        return {seat.aim for seat in self.seats.values() if seat.aim is not None}

    def _wait_for_another(self) -> None:
        """One end is no proof: the connection that is next at that age is left alone until it is well beyond it."""
        beyond = self._ends[0].age_high + 2 * tolerance(self._ends[0].age_high)
        idle = [seat for seat in self.seats.values() if seat.asked is None]
        if not idle:
            self._pending = sorted({*self._pending, beyond})
            return
        oldest = min(idle, key=lambda seat: seat.since)
        oldest.aim = max(oldest.aim or 0.0, beyond)
