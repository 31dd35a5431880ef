"""Demand of every shape, made from a seed: what the sizing must cope with."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterable

from dbdoctor.model.demand import Course

USE = 0.02


def course(pairs: Iterable[tuple[float, float]], process: str = "") -> Course:
    """Arrivals and uses, with no wait: recorded at a pool that was large enough."""
    rows = sorted(pairs)
    return Course(
        process,
        array("d", (row[0] for row in rows)),
        array("d", bytes(8 * len(rows))),
        array("d", (row[1] for row in rows)),
    )


def arrivals(rate: Callable[[float], float], most: float, seconds: float, seed: int) -> list[float]:
    """Poisson arrivals of a rate that changes over time and never exceeds `most` (thinning)."""
    draw = random.Random(seed)
    now, found = 0.0, []
    while (now := now + draw.expovariate(most)) < seconds:
        if draw.random() * most < rate(now):
            found.append(now)
    return found


def exponential(count: int, seed: int, mean: float = USE) -> list[float]:
    draw = random.Random(seed + 1)
    return [draw.expovariate(1 / mean) for _ in range(count)]


def poisson(load: float = 8, seconds: float = 100, seed: int = 1) -> Course:
    at = arrivals(lambda _: load / USE, load / USE, seconds, seed)
    return course(zip(at, exponential(len(at), seed), strict=True))


def bursty(load: float = 8, seconds: float = 100, seed: int = 1, every: float = 10, times: float = 3) -> Course:
    """One second in `every` has `times` the rate of the others."""
    rate = load / USE
    at = arrivals(lambda now: rate * (times if now % every < 1 else 1), rate * times, seconds, seed)
    return course(zip(at, exponential(len(at), seed), strict=True))


def heavy_tailed(load: float = 8, seconds: float = 100, seed: int = 1) -> Course:
    """Use times after Pareto with an index of 1.5: no variance."""
    at = arrivals(lambda _: load / USE, load / USE, seconds, seed)
    draw = random.Random(seed + 1)
    return course((one, USE / 3 * draw.paretovariate(1.5)) for one in at)


def diurnal(load: float = 8, seconds: float = 200, seed: int = 1) -> Course:
    rate = load / USE
    at = arrivals(lambda now: rate * (1 + 0.8 * math.sin(2 * math.pi * now / seconds)), rate * 1.8, seconds, seed)
    return course(zip(at, exponential(len(at), seed), strict=True))


def closed(callers: int = 20, pause: float = USE, size: int | None = None, turns: int = 300, seed: int = 1) -> Course:
    """A fixed number of callers who come back after a pause, at a pool of `size` (as many as they are, unless told)."""
    from heapq import heapify, heappop, heappush, heapreplace

    draw = random.Random(seed)
    free = [0.0] * (size or callers)
    coming = [(draw.random() * USE, caller, 0) for caller in range(callers)]
    heapify(coming)
    rows = []
    while coming:
        arrival, caller, turn = heappop(coming)
        start, use = max(arrival, free[0]), draw.expovariate(1 / USE)
        heapreplace(free, start + use)
        rows.append((arrival, start - arrival, use))
        if turn < turns:
            heappush(coming, (start + use + (draw.expovariate(1 / pause) if pause else 1e-5), caller, turn + 1))
    rows.sort()
    return Course("", *(array("d", column) for column in zip(*rows, strict=True)))


def saturated(load: float = 4, cores: float = 4, size: int = 40, seconds: float = 100, seed: int = 1) -> Course:
    """A database of so many cores, at an offered load of the same or more, behind a large pool."""
    from dbdoctor.sizing.processor_sharing import simulate

    plain = poisson(load, seconds, seed)
    done = simulate(plain.arrivals, plain.uses, [0] * len(plain.uses), size, cores)
    return Course("", plain.arrivals, array("d", done.waits), array("d", done.uses))
