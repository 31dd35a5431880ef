"""SIGTERM and SIGHUP end a command as Ctrl-C does: by an exception, so that whatever was started is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TerminatedError(KeyboardInterrupt):
    """A signal asked this process to end; `number` says which. What handles Ctrl-C handles this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stop_on_terminate() -> Iterator[None]:
    """`raise_on_terminate` while the block runs; the handlers before it come back afterwards."""
    previous = raise_on_terminate()
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)


def raise_on_terminate() -> dict[int, Any]:
    """Raise TerminatedError in the main thread at the first SIGTERM or SIGHUP from now on; gives the handlers before.

    Later ones are ignored, since they would interrupt the cleaning up that the first one began (a closing terminal sends
    SIGHUP twice); Ctrl-C still does. A signal that is ignored already stays ignored: that is how nohup(1) works. Outside
    the main thread it does nothing.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        return {}
    handler = _once()
    return {
        number: signal.signal(number, handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }


@contextmanager
def end_on_signal(request: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first Ctrl-C or SIGTERM calls `request`, which asks for a normal end.

    The next one does what it did before. A signal that is ignored stays ignored.
    """
    previous: dict[int, Any] = {}

    def restore() -> None:
        for number, before in previous.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)

    def handle(_: int, __: FrameType | None) -> None:
        restore()
        request()

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


def ignore_signals() -> None:
    """For the last instants of a process: the verdict is out, and the exit code must stay what it is.

    Python puts the default handlers back while it shuts down, but leaves ignored signals ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _once() -> Callable[[int, FrameType | None], None]:
    raised = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise TerminatedError(number)

    return handle
