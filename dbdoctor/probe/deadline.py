"""One deadline over a whole probe: every wait asks it how long it may take, and none is longer."""

from __future__ import annotations

import select
import time
from typing import NamedTuple


class DeadlinePassedError(Exception):
    """The login timeout ran out while something hung."""


class Deadline(NamedTuple):
    """A moment on the monotonic clock. `seconds` is the budget it was made with, `started` when it began."""

    started: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline `seconds` from now."""
        return cls(time.monotonic(), seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.started + self.seconds - time.monotonic())

    def part(self, share: float, *, at_least: float = 0.0) -> Deadline:
        """A nearer deadline: `share` of what remains, at least `at_least` seconds, and never beyond this one."""
        remaining = self.remaining
        return Deadline.after(min(remaining, max(at_least, remaining * share)))

    def wait(self, fileno: int, *, write: bool = False) -> None:
        """Return when the descriptor is ready to be read (or written); raise DeadlinePassedError when it is not in time."""
        poller = select.poll()
        poller.register(fileno, select.POLLOUT if write else select.POLLIN)
        while True:
            remaining = self.remaining
            if remaining <= 0:
                raise DeadlinePassedError
            if poller.poll(remaining * 1000 + 1):
                return
