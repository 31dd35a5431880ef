"""The loop that takes snapshots from any source: so many in a given time, across slow answers, lost servers and sleeping laptops.

It gives turns, and whoever takes them keeps the history; nothing here judges. Of a time in which nothing could be seen it
says so by a gap, since sessions that were not seen are not sessions that ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from dbdoctor.model.duration import format_duration
from dbdoctor.model.leaks import Event
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.snapshot import Gap, Snapshot, Wanted
from dbdoctor.watch.pace import Pace
from dbdoctor.watch.source import SessionSource, SourceLostError, SourceSlowError
from dbdoctor.watch.stop import Stop, StoppedError

# How often what changes slowly is asked for (prepared transactions, replication slots, counters), seconds.
_THOROUGH_EVERY = 10.0
# Logging in again: the first wait and the longest (seconds), each made up to so much longer by chance, so that many
# dbdoctors do not come back at once.
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.5, 15.0, 0.2
# Two starts of a server that lie closer together than this (seconds) are one start told twice.
_SAME_START = 2.0
# For a single look there is no next one to be in time for; this interval allows it the longest statement timeout.
_SINGLE_LOOK = 10.0
# Our clock ran so much ahead of the time that passed for us (seconds): the computer slept.
_SLEPT = 1.0


class Enrich(Protocol):
    """What adds to a snapshot without asking the server; on a `thorough` look it may take longer."""

    def __call__(self, snapshot: Snapshot, /, *, thorough: bool) -> Snapshot:
        """The same snapshot, with more."""
        ...


class Turn(NamedTuple):
    """What one turn gave. `gap` lies before `snapshot`; `facts` are there after each login; `interval` in seconds."""

    interval: float
    snapshot: Snapshot | None = None
    gap: Gap | None = None
    facts: ServerFacts | None = None
    events: tuple[Event, ...] = ()


class _Seen(NamedTuple):
    """When the last snapshot was taken: by the server's clock, by time that passed for us, and by our clock."""

    at: float
    passed: float
    wall: float
    late_after: float


class Loop:
    """Looks at `source` each `interval` seconds, for `seconds` (0: once; None: until `stop`).

    `wanted` says what to ask of a snapshot in addition; `enrich` adds what can be found without the server. Each login
    may take `login_timeout` seconds. After the end `lost` says why there was no server any more, if there was none.
    """

    def __init__(
        self,
        source: SessionSource,
        *,
        interval: float,
        seconds: float | None,
        login_timeout: float,
        wanted: Callable[[Snapshot], Wanted],
        enrich: Enrich | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.lost: str | None = None
        self._source = source
        self._pace = Pace(_SINGLE_LOOK if seconds == 0 else interval)
        self._seconds = seconds
        self._login_timeout = login_timeout
        self._wanted = wanted
        self._enrich = enrich
        self._stop = stop or Stop()
        self._seen: _Seen | None = None
        self._facts: ServerFacts | None = None
        self._thorough_at = 0.0
        self._waits = _FIRST_WAIT
        self._gap_reason: str | None = None
        self._slow: SourceSlowError | None = None

    def turns(self) -> Iterator[Turn]:
        """Turn after turn, to the end.

        Raises SourceLostError when the first login fails, and that or SourceSlowError when it ends without a snapshot.
        """
        try:
            self._facts = self._log_in()
            yield Turn(self._pace.interval, facts=self._facts)
            yield from self._until(time.monotonic())
        except StoppedError:
            pass
        if self._seen is None and not self._stop.requested:
            raise self._slow or SourceLostError(self.lost or "the server did not answer")
        if self._seen and self.lost:
            gap = Gap(self._seen.at, self._now(), f"the connection was lost: {self.lost}")
            yield Turn(self._pace.interval, gap=gap)

    def _until(self, started: float) -> Iterator[Turn]:
        end = None if self._seconds is None else started + self._seconds
        beat = started
        while True:
            last = end is not None and time.monotonic() >= end - 0.001
            turn = self._log_in_again() if self.lost else self._look(thorough=last)
            yield turn
            came_back = turn.facts is not None
            if last and not came_back:
                return
            now = time.monotonic()
            beat, due = (now, now) if came_back else self._next(beat, now)
            if end is not None:
                quarter = self._pace.interval / 4
                due = end if end - beat < quarter else min(due, end - quarter)
            if self._stop.wait(due - now):
                return

    def _next(self, beat: float, now: float) -> tuple[float, float]:
        """The next beat, and when to look or to log in for it; beats are an interval apart, those left out that have passed."""
        if self.lost:
            from random import random

            wait = self._waits * (1 + _JITTER * random())  # noqa: S311 - no secret hangs on it
            self._waits = min(self._waits * 2, _LONGEST_WAIT)
            return now + wait, now + wait
        interval, spread = self._pace.interval, self._pace.spread()
        beat += interval
        if (late := now - beat - spread) >= 0:
            beat += interval * (late // interval + 1)
        return beat, beat + spread

    # --- looking

    def _look(self, *, thorough: bool) -> Turn:
        began = time.monotonic()
        thorough = thorough or self._seen is None or began - self._thorough_at >= _THOROUGH_EVERY
        try:
            snapshot, explained = self._stop.call(lambda: self._sample(thorough, began))
        except SourceSlowError as error:
            self._slow = error
            events = self._stretch(self._pace.slow())
            return Turn(self._pace.interval, events=events)
        except SourceLostError as error:
            return self._renew() if self._slow else self._lose(str(error))
        if thorough:
            self._thorough_at = began
        gap = self._gap_before(snapshot)
        changed = self._pace.answered(snapshot.took) if explained else self._pace.slow()
        self._seen = _Seen(snapshot.at, time.monotonic(), time.time(), self._pace.late_after)
        self._slow = None
        return Turn(self._pace.interval, snapshot, gap, events=self._stretch(changed))

    def _sample(self, thorough: bool, began: float) -> tuple[Snapshot, bool]:  # noqa: FBT001
        """A snapshot, and whether what was wanted of it could be asked in time."""
        timeout = self._pace.timeout
        snapshot = self._source.look(timeout, thorough=thorough)
        if self._enrich is not None:
            snapshot = self._enrich(snapshot, thorough=thorough)
        wanted = self._wanted(snapshot)
        if not wanted:
            return snapshot, True
        left = timeout - (time.monotonic() - began)
        try:
            return self._source.explain(snapshot, wanted, max(0.2, left)), True
        except SourceSlowError:
            return snapshot, False

    def _stretch(self, changed: bool) -> tuple[Event, ...]:  # noqa: FBT001
        if not changed or self._seconds == 0:
            return ()
        slower = self._pace.interval > self._pace.asked
        how = "the server answers slowly" if slower else "the server answers in time again"
        return (Event(self._now(), "slow", f"{how}: looking every {format_duration(self._pace.interval)} now"),)

    # --- gaps

    def _gap_before(self, snapshot: Snapshot) -> Gap | None:
        seen = self._seen
        if seen is None:
            return None
        reason, self._gap_reason = self._gap_reason, None
        if reason is None and snapshot.at - seen.at > seen.late_after:
            reason = self._why_late(seen, snapshot)
        return Gap(seen.at, snapshot.at, reason) if reason else None

    def _why_late(self, seen: _Seen, snapshot: Snapshot) -> str:
        passed = time.monotonic() - seen.passed
        if time.time() - seen.wall - passed > _SLEPT:
            return "this computer slept"
        if snapshot.at - seen.at - passed > max(_SLEPT, seen.late_after / 2):
            return "the server's clock was set ahead"
        return "the server did not answer in time" if self._slow else "dbdoctor was kept from looking"

    def _now(self) -> float:
        """The time by the server's clock, as far as it was seen; else by ours."""
        return self._seen.at + time.monotonic() - self._seen.passed if self._seen else time.time()

    # --- losing the server, and finding it again

    def _log_in(self) -> ServerFacts:
        return self._stop.call(lambda: self._source.open(self._login_timeout))

    def _lose(self, words: str) -> Turn:
        self.lost, self._waits = words, _FIRST_WAIT
        event = Event(time.time(), "lost", f"lost the server: {words}; trying to log in again")
        return Turn(self._pace.interval, events=(event,))

    def _renew(self) -> Turn:
        """The connection was given up together with an answer that came too late; the server may be well."""
        try:
            self._facts, self._thorough_at = self._log_in(), 0.0
        except (SourceLostError, SourceSlowError) as error:
            self._slow = None
            return self._lose(str(error))
        return Turn(self._pace.interval, facts=self._facts)

    def _log_in_again(self) -> Turn:
        try:
            facts = self._log_in()
        except (SourceLostError, SourceSlowError) as error:
            return self._still_lost(str(error))
        words, self.lost = self.lost, None
        restarted = _restarted(self._facts, facts)
        self._facts, self._thorough_at = facts, 0.0
        self._gap_reason = "the server was restarted" if restarted else f"the connection was lost: {words}"
        after = f" after {format_duration(time.monotonic() - self._seen.passed)}" if self._seen else ""
        text = f"logged in again{after}" + ("; the server was restarted" if restarted else "")
        return Turn(self._pace.interval, facts=facts, events=(Event(time.time(), "reconnected", text),))

    def _still_lost(self, words: str) -> Turn:
        if words == self.lost:
            return Turn(self._pace.interval)
        self.lost = words
        return Turn(self._pace.interval, events=(Event(time.time(), "lost", f"still no way in: {words}"),))


def _restarted(before: ServerFacts | None, after: ServerFacts) -> bool:
    starts = [
        facts.server_time - facts.uptime
        for facts in (before, after)
        if facts and facts.server_time is not None and facts.uptime is not None
    ]
    return len(starts) == 2 and abs(starts[1] - starts[0]) > _SAME_START
