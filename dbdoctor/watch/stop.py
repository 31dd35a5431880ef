"""The wish to end a watch, as a signal's handler may utter it: what waits stops waiting, what hangs in a driver is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class StoppedError(KeyboardInterrupt):
    """Raised out of a call under way when the end was asked for; no `except Exception` of a driver catches it."""


class Stop:
    """Asked for by `request`, which is safe in a signal's handler; observed by `wait` and `call`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calling = False

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask for the end; in the thread of a `call` under way it raises StoppedError out of it."""
        self._event.set()
        if self._calling:
            self._calling = False
            raise StoppedError

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; gives whether the end was asked for."""
        return self._event.wait(max(0.0, seconds))

    def call(self, function: Callable[[], T]) -> T:
        """The function's result. Raises StoppedError when the end is asked for before or meanwhile."""
        self._calling = True
        try:
            if self.requested:
                raise StoppedError
            return function()
        finally:
            self._calling = False
