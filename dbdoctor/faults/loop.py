"""One thread's waiting: sockets that are ready, and moments that have come."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import HasFileno

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
Ready = Callable[[int], None]


class Loop:
    """Calls back when a file is ready and when a moment of the monotonic clock has come; nothing runs beside it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._moments: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def watch(self, file: HasFileno, events: int, ready: Ready) -> None:
        """Call `ready` with READ or WRITE when it is; with no events, not any more."""
        known = self._selector.get_map()
        if file in known:
            if events:
                self._selector.modify(file, events, ready)
            else:
                self._selector.unregister(file)
        elif events:
            self._selector.register(file, events, ready)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` once, so many seconds from now."""
        heapq.heappush(self._moments, (time.monotonic() + seconds, next(self._order), act))

    def turn(self, longest: float) -> None:
        """Wait for what comes first, at most `longest` seconds, and see to it."""
        patience = longest
        if self._moments:
            patience = min(patience, max(0.0, self._moments[0][0] - time.monotonic()))
        for key, events in self._selector.select(patience):
            current = self._selector.get_map().get(key.fd)
            if current is not None and current.fileobj is key.fileobj:  # one before it may have closed it
                current.data(events)
        now = time.monotonic()
        while self._moments and self._moments[0][0] <= now:
            heapq.heappop(self._moments)[2]()

    def close(self) -> None:
        """Forget everything that is waited for."""
        self._selector.close()
        self._moments.clear()
