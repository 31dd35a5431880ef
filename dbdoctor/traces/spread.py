"""Durations counted in bins, so that means, quantiles and the longest of any number of them take bounded memory."""

from __future__ import annotations

from dbdoctor.model.recorded_summary import Times

# A bin's width is 1/64 to 1/128 of its value: the middle is off by 0.8 % at most.
_BITS = 7


class Spread:
    """Durations in whole microseconds; no more than 128 bins for each doubling."""

    __slots__ = ("bins", "count", "longest", "total")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.longest = 0

    def add(self, microseconds: int) -> None:
        """One more."""
        self.count += 1
        self.total += microseconds
        self.longest = max(self.longest, microseconds)
        shift = microseconds.bit_length() - _BITS
        if shift > 0:
            microseconds = microseconds >> shift << shift
        self.bins[microseconds] = self.bins.get(microseconds, 0) + 1

    def merge(self, other: Spread) -> None:
        """All of another's."""
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)
        for begin, count in other.bins.items():
            self.bins[begin] = self.bins.get(begin, 0) + count

    def quantile(self, share: float) -> float:
        """The duration (microseconds) that this share of them does not exceed; 0 of none."""
        seen, wanted = 0, share * self.count
        for begin in sorted(self.bins):
            seen += self.bins[begin]
            if seen >= wanted:
                width = 1 << max(0, begin.bit_length() - _BITS)
                return min(begin + (width - 1) / 2, self.longest)
        return 0.0

    def times(self) -> Times:
        """In seconds."""
        return Times(self.count, self.total / 1e6, self.quantile(0.95) / 1e6, self.longest / 1e6)
