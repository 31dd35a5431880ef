"""One deadline over a whole probe: every wait asks it how long it may take, and none is longer."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

# What can be recalled looks so often whether it was (seconds).
_GLANCE = 0.05


class DeadlinePassedError(Exception):
    """The login timeout ran out while something hung."""


class Recall:
    """The wish of another thread that a probe ends now: to it, all its deadlines have passed, and it cleans up as ever."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._then: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Whether it was asked for."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask for the end; whatever was given to `then` is called here."""
        with self._lock:
            self._asked.set()
            then, self._then = self._then, []
        for function in then:
            function()

    def then(self, function: Callable[[], None]) -> None:
        """Have this called too, for a wait that no deadline ends early; at once when it was asked for already."""
        with self._lock:
            if not self.asked:
                self._then.append(function)
                return
        function()


class Deadline(NamedTuple):
    """A moment on the monotonic clock. `seconds` is the budget it was made with, `started` when it began.

    With a `recall` it passes as soon as that is asked for, and so do all that are made of it.
    """

    started: float
    seconds: float
    recall: Recall | None = None

    @classmethod
    def after(cls, seconds: float, recall: Recall | None = None) -> Deadline:
        """A deadline `seconds` from now."""
        return cls(time.monotonic(), seconds, recall)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        if self.recall is not None and self.recall.asked:
            return 0.0
        return max(0.0, self.started + self.seconds - time.monotonic())

    @property
    def patience(self) -> float:
        """Seconds that one wait may take before it asks again what remains."""
        return self.remaining if self.recall is None else min(self.remaining, _GLANCE)

    def within(self, seconds: float) -> Deadline:
        """Another of so many seconds from now, which is recalled together with this one."""
        return Deadline.after(seconds, self.recall)

    def part(self, share: float, *, at_least: float = 0.0) -> Deadline:
        """A nearer deadline: `share` of what remains, at least `at_least` seconds, and never beyond this one."""
        remaining = self.remaining
        return self.within(min(remaining, max(at_least, remaining * share)))

    def wait(self, fileno: int, *, write: bool = False) -> None:
        """Return when the descriptor is ready to be read (or written); raise DeadlinePassedError when it is not in time."""
        poller = select.poll()
        poller.register(fileno, select.POLLOUT if write else select.POLLIN)
        while True:
            if self.remaining <= 0:
                raise DeadlinePassedError
            if poller.poll(self.patience * 1000 + 1):
                return
