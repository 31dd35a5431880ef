"""Axes: where the ticks stand, and which number lies where. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_STEPS = (1.0, 2.0, 5.0, 10.0)
# Seconds that people count time in.
_TIME_STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
)


class Scale(NamedTuple):
    """From `low` to `high`, drawn from `start` to `end` (pixels); by decades with `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; one beyond an end lies at that end."""
        low, high, value = (self._of(one) for one in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def ticks(high: float, most: int = 6, *, whole: bool = True) -> list[float]:
    """From 0 in round steps to `high` or just above; whole numbers where sessions are counted."""
    high = max(high, 1.0 if whole else 1e-9)
    raw = high / most
    decade = 10 ** math.floor(math.log10(raw))
    step = next(one * decade for one in _STEPS if one * decade >= raw - 1e-12)
    step = max(1.0, step) if whole else step
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from just below `low` to just above `high`."""
    return [10.0**one for one in range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)]


def time_ticks(seconds: float, most: int = 6) -> list[float]:
    """Seconds since the beginning, in steps that people count in."""
    step = next(
        (float(one) for one in _TIME_STEPS if seconds / one <= most), math.ceil(seconds / most / 604800) * 604800.0
    )
    return [step * number for number in range(int(seconds / step + 1e-9) + 1)]


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, at least `apart` from each other where there is room, between `low` and `high`."""
    order = sorted(range(len(wanted)), key=lambda one: wanted[one])
    placed = [0.0] * len(wanted)
    before = low - apart
    for one in order:
        before = placed[one] = max(wanted[one], before + apart)
    after = high + apart
    for one in reversed(order):
        after = placed[one] = min(placed[one], after - apart)
    return placed
