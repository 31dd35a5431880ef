"""A terminal while a screen of ours is on it: typed keys are not echoed, and Ctrl-Z gives the shell its own screen back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

Handler = Callable[[int, FrameType | None], Any]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def quiet_keys() -> Iterator[None]:
    """Keys are not echoed, so that Enter does not move the screen; what was typed is dropped afterwards. Ctrl-C works.

    Where stdin is no terminal, or not ours because we run in the background, nothing is changed.
    """
    import termios

    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        ours = os.tcgetpgrp(descriptor) == os.getpgrp()
    except (AttributeError, OSError, ValueError, termios.error):  # closed, replaced, or no terminal
        ours = False
    if not ours:
        yield
        return
    quiet = [*before]
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def in_foreground(stream: TextIO) -> bool:
    """Whether the terminal behind `stream` is ours to draw on: not after `&` or `bg`. True where there is no job control."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return True


@contextmanager
def handling(handlers: dict[int, Handler]) -> Iterator[None]:
    """These signals go to these handlers meanwhile; outside the main thread, and where one is ignored, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = {number: handler for number, handler in handlers.items() if signal.getsignal(number) != signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in chosen.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end us wait until the block is done: half a restored terminal is of no use."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_here(handler: Handler) -> None:
    """Stop this process as Ctrl-Z does; it returns when the shell goes on with us. `handler` is for the next time."""
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, handler)
