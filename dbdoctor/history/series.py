"""A count over time in a bounded number of points, however long one watches."""

from __future__ import annotations

from collections.abc import Iterator

_MOST = 120


class Series:
    """Counts over time, at most 120 of them: when full, each second one is dropped and from then on each second one kept.

    None marks a gap: a time in which nobody looked, which is not a drop to zero.
    """

    __slots__ = ("_every", "_points", "_skip")

    def __init__(self) -> None:
        self._points: list[int | None] = []
        self._every = 1
        self._skip = 0

    def add(self, count: int | None) -> None:
        """The next count."""
        if count is None:
            if self._points and self._points[-1] is not None:
                self._points.append(None)
            return
        self._skip += 1
        if self._skip < self._every:
            return
        self._skip = 0
        self._points.append(count)
        if len(self._points) > _MOST:
            del self._points[::2]
            self._every *= 2

    def last(self, most: int) -> tuple[int | None, ...]:
        """At most so many values, oldest first, evenly spread over the whole time; the newest is always among them."""
        return tuple(_spread(self._points, most))


def _spread(points: list[int | None], most: int) -> Iterator[int | None]:
    if len(points) <= most:
        yield from points
        return
    step = (len(points) - 1) / (most - 1)
    for place in range(most):
        yield points[round(place * step)]
