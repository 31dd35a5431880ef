"""A sweep over sizes for callers who come back only after they were served; see `closed_loop`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbdoctor.model.demand import Course
from dbdoctor.sizing.closed_loop import Caller, replay
from dbdoctor.sizing.histogram import Histogram
from dbdoctor.sizing.replay import WINDOWS, Sweep, offered_load


def closed_sweep(
    courses: Sequence[Course],
    callers: Sequence[Sequence[Caller]],
    sizes: Sequence[int],
    *,
    progress: Callable[[int], None] = lambda _size: None,
) -> Sweep:
    """The callers of each course through a pool of each size; windows are as in `replay.sweep`."""
    found: dict[int, list[Histogram]] = {}
    for size in sorted(set(sizes)):
        found[size] = [window for each in callers for window in _windows(replay(each, size), len(callers))]
        progress(size)
    return Sweep(tuple(found), found, offered_load(courses))


def _windows(waits: list[float], courses: int) -> list[Histogram]:
    parts = max(1, WINDOWS // courses)
    edges = [len(waits) * part // parts for part in range(parts + 1)]
    windows = []
    for part in range(parts):
        window = Histogram()
        piece = waits[edges[part] : edges[part + 1]]
        window.add(len(piece), [wait for wait in piece if wait > 0])
        windows.append(window)
    return windows
