"""How often to look: the interval asked for, stretched while the server answers slowly, and how long an answer may take.

Looks keep their number, but not step: what happens every two seconds would otherwise be seen at the same moment of its
life by each look every two seconds, and a session that rests for most of that time would always seem to have just worked.
"""

from __future__ import annotations

# Of the interval, what the statements of one look may take: below it, so that looks never overlap (the rest is ours).
_STATEMENT_SHARE = 0.8
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = 0.2, 5.0
# An interval is stretched up to this (seconds), unless the one asked for is longer.
_LONGEST_STRETCHED = 30.0
# An answer that takes more than this share of the interval is too much to ask for that often. After two answers in a row that
# take less than the other share of a quarter of the interval, that quarter is gone back to. In between nothing changes: no
# flapping.
_TOO_SLOW, _QUICK, _QUICK_IN_A_ROW, _BACK = 0.5, 0.25, 2, 4
# A look comes later than its beat by up to the interval and by no more than this (seconds): twice the shortest pause that
# the rules count, so that such pauses are seen in the middle, too. The golden ratio spreads any number of looks evenly, and
# keeps step with nothing; two of them are 0.6 to 1.6 intervals apart.
_MOST_SPREAD = 2.0
_GOLDEN = (5**0.5 - 1) / 2


class Pace:
    """The interval in force (`interval`, seconds) and the one asked for (`asked`)."""

    def __init__(self, interval: float) -> None:
        self.asked = self.interval = interval
        self._quick = 0
        self._looks = 0

    def spread(self) -> float:
        """How much later than its beat the next look is to come, in seconds: below the interval, another at each call."""
        self._looks += 1
        return self._looks * _GOLDEN % 1.0 * min(self.interval, _MOST_SPREAD)

    @property
    def timeout(self) -> float:
        """Seconds that one look may take."""
        return min(_LONGEST_TIMEOUT, max(_SHORTEST_TIMEOUT, _STATEMENT_SHARE * self.interval))

    @property
    def late_after(self) -> float:
        """Seconds between two snapshots from which on something kept us from looking."""
        return max(4 * self.interval, self.interval + 1.0)

    def answered(self, took: float) -> bool:
        """A look took so many seconds; gives whether the interval changed."""
        if took > _TOO_SLOW * self.interval:
            return self.slow()
        self._quick = self._quick + 1 if took <= _QUICK * self.interval / _BACK else 0
        if self.interval <= self.asked or self._quick < _QUICK_IN_A_ROW:
            return False
        self._quick = 0
        self.interval = max(self.asked, self.interval / _BACK)
        return True

    def slow(self) -> bool:
        """There was no answer in time; gives whether the interval changed."""
        self._quick = 0
        longer = min(self.interval * 2, max(_LONGEST_STRETCHED, self.asked))
        changed = longer > self.interval
        self.interval = longer
        return changed
