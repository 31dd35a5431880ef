"""Beside a login that takes long, `leaks` finds out already where it hangs: both answers are there within the login timeout.

Why it is harmless: most logins have ended long before, and nothing is begun then. Otherwise it is what `check` does, once:
connections of its own, at most one session, nothing written. When the first login succeeds it is given up before the first
look: its connections are closed, the driver's process with it, and a session that it may have opened by then is ended.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Target

if TYPE_CHECKING:
    from dbdoctor.probe.run import Examining

# Of the login timeout, what a login may take before it counts as one that takes long.
_LONG = 0.5
# An examination gets so long even where less is left (seconds).
_LEAST = 0.2
# Closing what an examination has open takes milliseconds; one that hangs in the resolver is not waited for (seconds).
_TO_CLOSE = 0.5


class Lookout:
    """Made when a login begins; told by `close` when it has succeeded, and asked by `examine` when it has failed."""

    def __init__(self, target: Target, login_timeout: float) -> None:
        self._target = target
        self._login_timeout = login_timeout
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._closed = False
        self._examining: Examining | None = None
        self._waited: float | None = None
        self._timer = threading.Timer(login_timeout * _LONG, self._begin)
        self._timer.daemon = True
        self._timer.start()

    @property
    def closed(self) -> bool:
        """Whether the login has succeeded: then there is nothing to say about it."""
        return self._closed

    @property
    def waited(self) -> float | None:
        """How long the login had taken (seconds) when it was first looked at beside it; None when it failed before."""
        return self._waited

    def close(self) -> None:
        """The login is over: nothing is begun any more, and what was begun ends."""
        self._timer.cancel()
        with self._lock:
            self._closed = True
            examining, self._examining = self._examining, None
        if examining is not None:
            examining.give_up(_TO_CLOSE)

    def examine(self) -> Examination:
        """Where the login failed, from the examination under way or from one in what is left of the login timeout.

        After `close` it is no login that failed: then it has the whole login timeout. Its `seconds` count from the
        beginning of the login.
        """
        from dbdoctor.cli.progress import Progress

        progress = Progress()
        try:
            examination = self._begun().result(progress.event, progress.tick)
        finally:
            progress.clear()
        return examination if self._closed else replace(examination, seconds=time.monotonic() - self._started)

    @property
    def _left(self) -> float:
        """Seconds of the login timeout."""
        return max(_LEAST, self._started + self._login_timeout - time.monotonic())

    def _begun(self) -> Examining:
        from dbdoctor.probe.run import Examining

        self._timer.cancel()
        with self._lock:
            if self._examining is None:
                self._examining = Examining(self._target, self._login_timeout if self._closed else self._left)
            return self._examining

    def _begin(self) -> None:
        # What is needed to show the answer is loaded now, when nobody waits for it.
        from dbdoctor.cli import leaks_failed  # noqa: F401
        from dbdoctor.probe.run import Examining

        with self._lock:
            if not self._closed and self._examining is None:
                self._waited = time.monotonic() - self._started
                self._examining = Examining(self._target, self._left)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
