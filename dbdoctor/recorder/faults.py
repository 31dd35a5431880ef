"""Whose an exception is that was raised while code of ours ran: our own, or the application's.

A signal handler runs between any two steps of the main thread, and one thread can raise an exception in another; so a time
limit (celery's soft one, RQ's, a test's) may be raised in the middle of a hook. It has to reach the application.
"""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Any

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


def is_applications(error: BaseException) -> bool:
    """Whether it came from a signal handler, or was raised in this thread by another one."""
    frames = _frames(error)
    if not frames:
        return False
    innermost = frames[-1].tb_frame
    if type(error).__module__ != "builtins" and innermost.f_code.co_filename.startswith(_OWN):
        return True  # nothing of ours raises another than the interpreter's
    codes = _handlers()
    return any(trace.tb_frame.f_code in codes for trace in frames)


def place_of(error: BaseException) -> str:
    """` in hooks.py:40`: where it was raised."""
    frames = _frames(error)
    if not frames:
        return ""
    return f" in {os.path.basename(frames[-1].tb_frame.f_code.co_filename)}:{frames[-1].tb_lineno}"


def _frames(error: BaseException) -> list[TracebackType]:
    found = []
    trace = error.__traceback__
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


def _handlers() -> set[Any]:
    """The code of the signal handlers that the application has set."""
    codes = set()
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        handler = getattr(handler, "func", handler)  # functools.partial
        for function in (handler, getattr(handler, "__func__", None), vars(type(handler)).get("__call__")):
            code = getattr(function, "__code__", None)
            if code is not None:
                codes.add(code)
    return codes
