"""SIGTERM and SIGHUP end a command as Ctrl-C does: by an exception, so that whatever was started is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class TerminatedError(KeyboardInterrupt):
    """A signal asked this process to end; `number` says which. What handles Ctrl-C handles this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stop_on_terminate() -> Iterator[None]:
    """Raise TerminatedError in the main thread at the first SIGTERM or SIGHUP while the block runs.

    Later ones are ignored, since they would interrupt the cleaning up that the first one began (a closing terminal sends
    SIGHUP twice); Ctrl-C still does. A signal that is ignored already stays ignored: that is how nohup(1) works. Outside
    the main thread it does nothing.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _once()
    previous = {
        number: signal.signal(number, handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)


def _once() -> Callable[[int, FrameType | None], None]:
    raised = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise TerminatedError(number)

    return handle
