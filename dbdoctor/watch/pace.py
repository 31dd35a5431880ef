"""How often to look: the interval asked for, stretched while the server answers slowly, and how long an answer may take."""

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


class Pace:
    """The interval in force (`interval`, seconds) and the one asked for (`asked`)."""

    def __init__(self, interval: float) -> None:
        self.asked = self.interval = interval
        self._quick = 0

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
