"""Keeps a stream of checkouts in bounded memory: all of them, or blocks of consecutive ones with the busiest among them."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dbdoctor.model.demand import BadLine, Checkout, Course, Trace

_BLOCKS = 40  # enough for a bootstrap by blocks


class Blocks:
    """Add checkouts as they come; `trace()` gives what was kept.

    Blocks are drawn by reservoir sampling (Vitter's algorithm R), so that each has the same chance; the one with the
    greatest offered load is kept whatever is drawn, since a pool is sized for its peak.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.counted = 0
        self._each = max(1, most // _BLOCKS)
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._names: dict[str, int] = {}
        self._kept: list[_Block] = []
        self._filling = _Block.empty()
        self._full = 0
        self._first = self._last = 0.0
        self._origin: float | None = None

    def add(self, checkout: Checkout) -> None:
        """One more. Arrivals are kept relative to the first, so that a double resolves them however late the date is."""
        if self._origin is None:
            self._origin = checkout.arrival
        arrival = checkout.arrival - self._origin
        self._first, self._last = min(self._first, arrival), max(self._last, arrival + checkout.wait + checkout.use)
        self._filling.processes.append(self._names.setdefault(checkout.process, len(self._names)))
        self._filling.arrivals.append(arrival)
        self._filling.waits.append(checkout.wait)
        self._filling.uses.append(checkout.use)
        self.counted += 1
        if len(self._filling.uses) >= self._each:
            self._keep(self._filling)
            self._filling = _Block.empty()

    def trace(self, bad_lines: int = 0, bad: tuple[BadLine, ...] = ()) -> Trace:
        """What was kept, a course for each process and block (or for each process, when nothing was left out)."""
        if len(self._filling.uses):
            self._keep(self._filling)
            self._filling = _Block.empty()
        whole = sum(len(block.uses) for block in self._kept) == self.counted
        blocks = [_joined(self._kept)] if whole else self._kept
        names = list(self._names)
        courses = tuple(course for block in blocks for course in _courses(block, names))
        return Trace(courses, self.counted, self._last - self._first, len(names), bad_lines, bad)

    def _keep(self, block: _Block) -> None:
        self._full += 1
        if len(self._kept) < _BLOCKS:
            self._kept.append(block)
            return
        busiest = max(range(_BLOCKS), key=lambda index: self._kept[index].load)
        place = self._random.randrange(self._full)
        if block.load > self._kept[busiest].load:
            # The old busiest gives up its special place; where the new one goes is drawn among the others.
            place = place if place < _BLOCKS else self._random.randrange(_BLOCKS)
        elif place == busiest:
            return
        if place < _BLOCKS:
            self._kept[place] = block


class _Block(NamedTuple):
    processes: array[int]
    arrivals: array[float]
    waits: array[float]
    uses: array[float]

    @staticmethod
    def empty() -> _Block:
        return _Block(array("L"), array("d"), array("d"), array("d"))

    @property
    def load(self) -> float:
        """Connections in use on average, all processes together."""
        span = max(self.arrivals) - min(self.arrivals)
        return sum(self.uses) / span if span > 0 else 0.0


def _joined(blocks: Iterable[_Block]) -> _Block:
    joined = _Block.empty()
    for block in blocks:
        joined.processes.extend(block.processes)
        joined.arrivals.extend(block.arrivals)
        joined.waits.extend(block.waits)
        joined.uses.extend(block.uses)
    return joined


def _courses(block: _Block, names: list[str]) -> Iterator[Course]:
    # A recorder writes a checkout when it ends, so that the lines are not quite in the order of arrival.
    members: dict[int, array[int]] = {}
    for index in sorted(range(len(block.uses)), key=block.arrivals.__getitem__):
        members.setdefault(block.processes[index], array("L")).append(index)
    for process, indexes in members.items():
        columns = (array("d", map(column.__getitem__, indexes)) for column in block[1:])
        yield Course(names[process], *columns)
