"""How far a recommended size could be off, had another stretch of the same demand been recorded: a bootstrap by blocks.

Blocks of consecutive checkouts are drawn again and again, with replacement, so that bursts stay together (Künsch 1989).
No replay is repeated: each block's waits at each size are known from the sweep.
"""

from __future__ import annotations

import random

from dbdoctor.model.sizing import Range
from dbdoctor.sizing.histogram import Histogram
from dbdoctor.sizing.replay import Sweep

DRAWS = 400
_FEWEST = 5


def size_range(sweep: Sweep, share: float, wait: float, seed: int = 0) -> Range | None:
    """The 5 % and 95 % points of the smallest size with which this share of the checkouts waits at most `wait` seconds.

    None when there are too few blocks to say. A size beyond the sweep counts as its largest.
    """
    blocks = len(sweep.windows[sweep.sizes[0]])
    if blocks < _FEWEST:
        return None
    counts = [window.count for window in sweep.windows[sweep.sizes[0]]]
    above = {size: [window.above(wait) for window in sweep.windows[size]] for size in sweep.sizes}
    draws = random.Random(seed)  # noqa: S311 - a bootstrap, no secret
    found = sorted(_smallest(sweep.sizes, above, counts, 1 - share, draws) for _ in range(DRAWS))
    return Range(found[DRAWS // 20], found[-DRAWS // 20 - 1])


def wait_range(windows: list[Histogram], share: float, seed: int = 0) -> Range | None:
    """The 5 % and 95 % points of a quantile of the wait, in seconds; None when there are too few blocks."""
    if len(windows) < _FEWEST:
        return None
    draws = random.Random(seed)  # noqa: S311 - a bootstrap, no secret
    found = []
    for _ in range(DRAWS // 4):
        total = Histogram()
        for index in draws.choices(range(len(windows)), k=len(windows)):
            total.merge(windows[index])
        found.append(total.quantile(share))
    found.sort()
    return Range(found[len(found) // 20], found[-len(found) // 20 - 1])


def _smallest(
    sizes: tuple[int, ...], above: dict[int, list[int]], counts: list[int], allowed: float, draws: random.Random
) -> int:
    drawn = draws.choices(range(len(counts)), k=len(counts))
    most = allowed * sum(counts[index] for index in drawn)
    low, high = 0, len(sizes) - 1
    while low < high:  # waits fall with the size
        middle = (low + high) // 2
        column = above[sizes[middle]]
        if sum(column[index] for index in drawn) <= most:
            high = middle
        else:
            low = middle + 1
    return sizes[low]
