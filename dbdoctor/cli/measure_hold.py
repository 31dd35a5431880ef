"""Ctrl-C and its like, held back for the seconds in which a measurement clears away what it left on the server."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """While the block runs, which must end soon, SIGINT, SIGTERM and SIGHUP are only written down, in the list given.

    A signal that is ignored stays ignored. Outside the main thread it does nothing.
    """
    came: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    if threading.current_thread() is threading.main_thread():
        for held in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(held) is not signal.SIG_IGN:
                previous[held] = signal.signal(held, note)
    try:
        yield came
    finally:
        for number, before in previous.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)
