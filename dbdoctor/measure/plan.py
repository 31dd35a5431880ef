"""Which idle ages the connections are used at, to find an idle timeout: the first pass of a measurement; pure.

A connection that is used after so many idle seconds tells on which side of that age the timeout lies, and a silent drop
shows itself in no other way; one that answered begins to idle anew and is used again later. So the ages go to the
connections in turn, the smallest first, and with `connections` of them the age number k begins when number k minus
`connections` was answered. The closer the ages, the sooner the answer, and the more connections it takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

FINEST = 0.3
"""No bracket is asked to be narrower than this, in seconds: proxies look at their clocks a few times a second."""
FIRST = 0.85
"""The smallest age that is tried, in seconds."""

# A known value is found within 1.15 of itself (README), and what a confirmation takes is left out of it.
_KNOWN_WITHIN = 1.14
# Any other within 2.3: the first pass may take this, and the second takes once more the timeout itself.
_OTHERS_WITHIN = 1.27
_RATIOS = (*(1.04 + 0.01 * step for step in range(47)), 1.6, 1.75, 2.0, 2.5, 3.0)
# Of the width that is wanted, what the plan asks for: a use is late by a moment, never early.
_CAREFUL = 0.9
# What equals the limit is still found on a device that looks at its clock three times a second.
_LATE = 0.6
# Nearer than this (seconds) two ages tell the same.
_NEAR = 0.2


class Plan(NamedTuple):
    """The first pass. `ages` in seconds, ascending; `longest` is when the last of them has been used, without its answer.

    `tight` are the known values that lie between two ages so near to each other that nothing is left to refine.
    """

    ages: tuple[float, ...]
    connections: int
    longest: float
    tight: tuple[float, ...] = ()


def width(age: float, resolution: float) -> float:
    """How wide a bracket at this age may be, in seconds; `resolution` is a share."""
    return max(FINEST, resolution * age)


def make_plan(
    up_to: float, resolution: float, connections: int, known: Iterable[float] = (), *, above: float = 0.0
) -> Plan:
    """The plan that keeps the promised times best; `above` is an age that is known to be harmless already (seconds)."""
    wanted = sorted({value for value in known if above < value <= up_to})
    plans = [
        _plan(up_to, resolution, connections, values, above, ratio) for values in (wanted, []) for ratio in _RATIOS
    ]
    return min(plans, key=lambda pair: (max(1.0, pair[0]), not pair[1].tight, len(pair[1].ages)))[1]


def start_times(ages: Sequence[float], connections: int) -> list[float]:
    """When the connection of each age begins to idle, in seconds from the start."""
    starts: list[float] = []
    for number in range(len(ages)):
        before = number - connections
        starts.append(0.0 if before < 0 else starts[before] + ages[before])
    return starts


def _plan(
    up_to: float, resolution: float, connections: int, known: Sequence[float], above: float, ratio: float
) -> tuple[float, Plan]:
    """A plan, and by how much it misses what was promised: 1 or less is kept."""
    anchors = list(_anchors(up_to, resolution, known, above))
    ages = tuple(_filled(anchors, resolution, ratio, above))
    starts = start_times(ages, connections)
    longest = starts[-1] + ages[-1]
    return _misses(ages, starts, resolution, known), Plan(ages, connections, longest, tuple(known))


def _anchors(up_to: float, resolution: float, known: Sequence[float], above: float) -> Iterator[float]:
    """The ages around known values, and the last one, which finds also what equals the limit."""
    last = 0.0
    for value in known:
        half = width(value, resolution) * _CAREFUL / 2
        for age in (value - half, value + half):
            if age > max(above, last) + _NEAR:
                last = age
                yield age
    end = up_to + max(_LATE, width(up_to, resolution) * _CAREFUL / 2)
    if end > last:
        yield end


def _filled(anchors: Sequence[float], resolution: float, ratio: float, above: float) -> Iterator[float]:
    """The anchors, with ages between them: each at most `ratio` times the one before, but none needlessly near."""
    first = min(FIRST, anchors[0]) if above < FIRST else above
    before = first
    if above < FIRST and first < anchors[0]:
        yield first
    for anchor in anchors:
        while before * ratio < anchor:
            cells = math.ceil(math.log(anchor / before) / math.log(ratio))
            step = before * ((anchor / before) ** (1 / cells) - 1)
            age = before + max(step, width(before, resolution) * _CAREFUL)
            if age >= anchor - FINEST / 4:
                break
            yield age
            before = age
        yield anchor
        before = anchor


def _misses(ages: Sequence[float], starts: Sequence[float], resolution: float, known: Sequence[float]) -> float:
    worst = 0.0
    before = 0.0
    for age, start in zip(ages, starts, strict=True):
        done = start + age
        if age - before <= width(before, resolution):
            worst = max(worst, done / (_KNOWN_WITHIN * max(before, 0.1)) if _holds(known, before, age) else 0.0)
        elif before:
            worst = max(worst, done / (_OTHERS_WITHIN * before))
        before = age
    return worst


def _holds(known: Sequence[float], low: float, high: float) -> bool:
    return any(low < value < high for value in known)
