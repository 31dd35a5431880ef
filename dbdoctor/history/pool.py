"""The sessions that one pool would hold: one application, role, database, client address and, where known, process."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dbdoctor.history.life import Life
from dbdoctor.model.leaks import GroupKey, Trend
from dbdoctor.model.session import IDLE, Identity, Session

# A session counts as silent from here on (seconds), and when it has been so for twice the longest silence from which
# a session of the same pool came back.
_SHORTEST_SILENCE = 3.0
_BEYOND_RETURNS = 2.0
# A session that was opened counts as kept once it is as old as this: connections without a pool end sooner.
_KEPT_AFTER = 2.0
# Sessions opened closer together than this (seconds) were opened by one event: a burst, a deploy, an engine that warms up.
_APART = 1.0
_FEWEST_SWEPT = 3
_MOST_TIMES = 512


class PoolHistory:
    """What was seen of one pool: its sessions' lives, what opened and closed while we watched. Server's clock.

    `passed_over` are the sessions that sit idle although the client opened others since: a pool would have given
    these out. `most_passed_over` is the most of them at any sample. `kept_births` counts the separate times at which
    sessions were opened that are still there. `swept` counts sessions that closed together with
    most of those passed over, as a garbage collector does it; `closed_silent` those that closed one by one after a
    silence, as an application does that holds a connection for a while and then closes it.
    """

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.lives: dict[Identity, Life] = {}
        self.opened = 0
        self.closed = 0
        self.closed_silent = 0
        self.swept = 0
        self._perhaps_swept = 0
        self.most_busy = 0
        self.longest_return = 0.0
        self.long_pauses = 0
        self.returned = 0
        self.returned_after = 0.0
        self.passed_over: list[Life] = []
        self.most_passed_over = 0
        self.kept_births = 0
        self.most_kept_births = 0
        self.empty_since: float | None = None
        self.openings: deque[float] = deque(maxlen=_MOST_TIMES)
        self.closings: deque[float] = deque(maxlen=_MOST_TIMES)

    @property
    def is_one_process(self) -> bool:
        """Whether all of it is known to be one process of the application, not a proxy or pooler that stands for many."""
        return self.key.process is not None and not any(
            life.process is not None and (life.process.forwarder or life.process.pooler) for life in self.lives.values()
        )

    def open(self, life: Life, *, while_watching: bool) -> None:
        """A session that was not there at the sample before."""
        self.lives[life.session.identity] = life
        self.empty_since = None
        self.swept += self._perhaps_swept
        self._perhaps_swept = 0
        if while_watching:
            self.opened += 1
            self.openings.append(life.session.started_at or life.first_seen)

    def close(self, ended: Sequence[Life], at: float, *, while_watching: bool) -> None:
        """Sessions that are gone, found so at one sample."""
        silences = [life.silence(at) for life in ended if life.session.state == IDLE]
        passed = {life.session.identity for life in self.passed_over}
        of_passed = sum(1 for life in ended if life.session.identity in passed)
        for life in ended:
            del self.lives[life.session.identity]
            self._remember(life)
        if not while_watching:
            return
        self.closed += len(ended)
        self.closings.extend([at] * len(ended))
        if of_passed >= _FEWEST_SWEPT and of_passed >= len(passed) * 2 / 3 and _are_of_all_ages(silences):
            # Unless the process ended and took all with it: then nothing is opened afterwards.
            self._perhaps_swept += of_passed
        else:
            self.closed_silent += sum(1 for silence in silences if silence >= _SHORTEST_SILENCE)

    def settle(self, at: float, first_at: float) -> None:
        """After a sample: judge which sessions were passed over."""
        lives = self.lives.values()
        busy = 0
        for life in lives:
            if life.session.state != IDLE and life.busy:
                busy += 1
            self.longest_return = max(self.longest_return, life.longest_return)
        self.most_busy = max(self.most_busy, busy)
        least = max(_SHORTEST_SILENCE, _BEYOND_RETURNS * self.longest_return)
        # A pooler gives out what it has, too; what a listener or a leader holds is in use though it is silent.
        judged = [life for life in lives if life.spared is None or life.is_pooled]
        self.passed_over = [judged[place] for place in passed_over([life.session for life in judged], at, least)]
        self.most_passed_over = max(self.most_passed_over, len(self.passed_over))
        if self.opened:
            # Living sessions whose start the server told, so those that a gap hid from us count as well.
            starts = [life.session.started_at for life in lives]
            kept = [start for start in starts if start is not None and first_at < start <= at - _KEPT_AFTER]
            self.kept_births = separate_times(kept)
            self.most_kept_births = max(self.most_kept_births, self.kept_births)

    def _remember(self, life: Life) -> None:
        self.longest_return = max(self.longest_return, life.longest_return)
        self.long_pauses += life.long_pauses


def _are_of_all_ages(silences: Sequence[float]) -> bool:
    """Whether sessions that closed together had been silent for very different times, as a garbage collector finds them.

    An application that closes what it held closes the oldest first, all after about the same time.
    """
    return max(silences) - min(silences) >= max(silences) / 2


def passed_over(sessions: Sequence[Session], now: float, least: float) -> list[int]:
    """The places of idle sessions, silent for `least` seconds, that a pool would have given out instead of opening another.

    A pool opens a session only when none is free. So one that was idle when a further session of the same pool began, and
    that still is, was not free: somebody holds it, or its pool was forgotten. What began and ended again in between
    proves nothing (a connection made without a pool), so only sessions that are still there and were kept count.
    """
    starts = sorted([session.started_at for session in sessions if session.started_at is not None])
    del starts[bisect_right(starts, now - _KEPT_AFTER) :]
    if not starts:
        return []
    # Silent for long enough already when the last of these began: a shorter silence may be the application's own work
    # between its last statement and the checkin.
    latest = min(starts[-1], now) - least
    return [
        place
        for place, session in enumerate(sessions)
        if session.state == IDLE and session.changed_at is not None and session.changed_at <= latest
    ]


def separate_times(times: Iterable[float]) -> int:
    """How many of these lie apart by a second and more: what a deploy or a burst opens at once counts as one."""
    number, last = 0, float("-inf")
    for time in sorted(times):
        if time - last >= _APART:
            number, last = number + 1, time
    return number


class _Window(NamedTuple):
    opened: list[float]
    closed: list[float]
    counts: list[tuple[float, int]]


def trend(
    opened: Iterable[float], closed: Iterable[float], counts: Sequence[tuple[float, int]], now: float
) -> Trend | None:
    """How fast a number of sessions grows, from when they opened and closed; None for fewer than two samples.

    Where nothing closed, the openings themselves tell the rate, to the server's microsecond, whatever the interval of
    sampling. Else the line of least squares through the counts, its range from the steps between them as of a random
    walk, which overstates it rather than not.
    """
    if len(counts) < 2:
        return None
    since = counts[0][0]
    window = _Window(sorted(t for t in opened if t > since), [t for t in closed if t > since], list(counts))
    seconds = now - since
    if seconds <= 0:
        return None
    if not window.opened and not window.closed:
        return Trend(0.0, 0.0, 60.0 / seconds, seconds)
    if not window.closed and len(window.opened) >= 3:
        return _by_openings(window.opened, now, seconds)
    return _by_counts(window.counts, seconds)


def _by_openings(times: list[float], now: float, seconds: float) -> Trend | None:
    number = len(times)
    span = times[-1] - times[0]
    if span <= 0:
        return _rate(number / seconds, 2.0 / number**0.5, seconds)
    mean = span / (number - 1)
    quiet = now - times[-1]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    variation = (sum((step - mean) ** 2 for step in steps) / len(steps)) ** 0.5 / mean
    if quiet > mean * (4.0 + 2 * variation):
        return Trend(
            0.0, 0.0, 60.0 / quiet, seconds
        )  # it has stopped: at that rate, so long a silence has odds of 1 in 50
    rate = 1 / mean if quiet <= mean * (1.5 + variation) else number / (now - times[0])
    # However regular: one session more or less in this time is what nobody can tell.
    return _rate(rate, max(2.0 * variation / number**0.5, 1.0 / number), seconds)


def _by_counts(counts: list[tuple[float, int]], seconds: float) -> Trend:
    number = len(counts)
    mean_t = sum(t for t, _ in counts) / number
    mean_c = sum(c for _, c in counts) / number
    spread = sum((t - mean_t) ** 2 for t, _ in counts) or 1.0
    slope = sum((t - mean_t) * (c - mean_c) for t, c in counts) / spread
    steps = [later[1] - earlier[1] for earlier, later in itertools.pairwise(counts)]
    drift = sum(steps) / len(steps)
    deviation = (sum((step - drift) ** 2 for step in steps) / len(steps)) ** 0.5
    # However even the steps: of a session or two more, nobody can tell whether they are a trend.
    error = max(2 * deviation * len(steps) ** 0.5, 2.0) / seconds
    return Trend(slope * 60, (slope - error) * 60, (slope + error) * 60, seconds)


def _rate(per_second: float, relative_error: float, seconds: float) -> Trend:
    low, high = per_second * max(0.0, 1 - relative_error), per_second * (1 + relative_error)
    return Trend(per_second * 60, low * 60, high * 60, seconds)
