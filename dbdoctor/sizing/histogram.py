"""Waits counted in bins of 1 %, so that quantiles of any number of checkouts take bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

STEP = 0.01  # a bin is so much wider than the one before it; a quantile is off by half of that at most
_LEAST = 1e-7  # what is shorter is no wait


class Histogram:
    """Waits in seconds. The mean and the longest are exact, quantiles within half a per cent."""

    __slots__ = ("bins", "count", "longest", "total")

    def __init__(self) -> None:
        self.bins: Counter[int] = Counter()
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, checkouts: int, waits: Iterable[float]) -> None:
        """So many more checkouts, and the waits of those among them that waited at all."""
        waits = list(waits)
        self.count += checkouts
        if not waits:
            return
        self.total += sum(waits)
        self.longest = max(self.longest, *waits)
        log, scale = math.log, 1 / math.log1p(STEP)
        self.bins.update([int(log(wait) * scale + 10_000) for wait in waits if wait > _LEAST])

    def merge(self, other: Histogram, times: int = 1) -> None:
        """All of another's, so many times over."""
        self.count += other.count * times
        self.total += other.total * times
        self.longest = max(self.longest, other.longest)
        for bin_, count in other.bins.items():
            self.bins[bin_] += count * times

    @property
    def mean(self) -> float:
        """Seconds, over all checkouts, those that did not wait among them."""
        return self.total / self.count if self.count else 0.0

    @property
    def waited(self) -> float:
        """The share of the checkouts that waited, 0 to 1."""
        return self.bins.total() / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The wait in seconds that this share of the checkouts does not exceed."""
        return quantiles(self.bins, self.count, (share,), self.longest)[0]

    def quantiles(self, shares: tuple[float, ...]) -> list[float]:
        """Several at once; the shares in rising order."""
        return quantiles(self.bins, self.count, shares, self.longest)

    def above(self, wait: float) -> int:
        """How many checkouts waited longer, to within a bin; for 0 all that waited."""
        if wait <= _LEAST:
            return self.bins.total()
        least = int(math.log(wait) / math.log1p(STEP) + 10_000)
        return sum(count for bin_, count in self.bins.items() if bin_ > least)


def quantiles(bins: Mapping[int, int], count: int, shares: tuple[float, ...], longest: float) -> list[float]:
    """The waits that these shares (in rising order) of `count` checkouts do not exceed; those in no bin did not wait."""
    found: list[float] = []
    seen = count - sum(bins.values())
    last = 0.0
    rest = iter(sorted(bins))
    for share in shares:
        while seen < share * count:
            bin_ = next(rest, None)
            if bin_ is None:
                break
            seen += bins[bin_]
            last = math.exp((bin_ - 10_000 + 0.5) * math.log1p(STEP))
        found.append(min(last, longest))
    return found
