"""Call sites: which lines of the application asked for a connection.

A site is up to four frames, innermost first, outside SQLAlchemy, the standard library and this package. The walk up the
stack ends with the last frame wanted, so its cost hangs on how far away the application is, not on how deep the stack is.
Frames are told apart by code object and instruction; line numbers, which are dear, are looked up once a site.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections import deque
from itertools import count
from types import CodeType, FrameType
from typing import Any

Frame = tuple[str, int, str]  # file, line, function
MOST_FRAMES = 4
MOST_SITES = 4096  # code that makes more is generated code; the rest is told as one
_MOST_FILES = 20_000  # known by name; beyond, a file's frames are judged anew each time
OTHER = 0
_UNKNOWN = -1
_DEEPEST = 400
_LONGEST_NAME = 500
_HIDDEN_PACKAGES = ("sqlalchemy", "dbdoctor", "greenlet")


def _library_directories() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths[name] + os.sep for name in ("stdlib", "platstdlib") if paths.get(name)})


class Sites:
    """The sites seen so far, by number. No lock: two threads that meet at a new site may number it twice, harmlessly."""

    def __init__(self) -> None:
        self.frames: dict[int, tuple[Frame, ...]] = {OTHER: ()}
        self.new: deque[int] = deque()  # numbers that the writer has not seen
        self._next = count(1)
        self._numbers: dict[tuple[int, ...], int] = {}
        self._codes: list[list[CodeType]] = []  # kept, so that no id among the keys is used again
        self._applications: dict[str, bool] = {}  # whether a file is the application's
        self._own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
        self._library = _library_directories()

    def here(self, frame: FrameType | None) -> int:
        """The number of the site from this frame on outwards, or less than 0 when `outside` has to find it."""
        applications = self._applications
        key: list[int] = []
        while frame is not None:
            code = frame.f_code
            if applications.get(code.co_filename, True):
                key.append(id(code))
                key.append(frame.f_lasti)
                if len(key) == 2 * MOST_FRAMES:
                    break
            frame = frame.f_back
        return self._numbers.get(tuple(key), _UNKNOWN) if key else _UNKNOWN

    def outside(self, frame: FrameType | None) -> int:
        """The same for a site that is new, or whose application frames are outside of this greenlet (asyncio)."""
        frames = self._walk(frame) or self._walk(_awaiting())
        key = tuple(number for one in frames for number in (id(one.f_code), one.f_lasti))
        number = self._numbers.get(key)
        return self._add(key, frames) if number is None else number

    def _walk(self, frame: FrameType | None) -> list[FrameType]:
        found: list[FrameType] = []
        left = _DEEPEST
        while frame is not None and left and len(found) < MOST_FRAMES:
            if self._is_application(frame):
                found.append(frame)
            frame = frame.f_back
            left -= 1
        return found

    def _add(self, key: tuple[int, ...], frames: list[FrameType]) -> int:
        if len(self.frames) > MOST_SITES:
            return OTHER
        number = next(self._next)
        self._codes.append([frame.f_code for frame in frames])
        self.frames[number] = tuple(_told(frame) for frame in frames)
        self.new.append(number)
        self._numbers[key] = number
        return number

    def _is_application(self, frame: FrameType) -> bool:
        name = frame.f_code.co_filename
        known = self._applications.get(name)
        if known is not None:
            return known
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        is_ours = package not in _HIDDEN_PACKAGES and not self._is_library(name)
        # SQLAlchemy and applications alike compile a "<string>".
        if not name.startswith("<") and len(self._applications) < _MOST_FILES:
            self._applications[name] = is_ours
        return is_ours

    def _is_library(self, name: str) -> bool:
        if name.startswith(("<frozen", self._own)):
            return True
        inside = any(name.startswith(directory) for directory in self._library)
        return inside and "site-packages" not in name and "dist-packages" not in name


def _told(frame: FrameType) -> Frame:
    code = frame.f_code
    name = getattr(code, "co_qualname", code.co_name)
    return code.co_filename[-_LONGEST_NAME:], frame.f_lineno or 0, name[-_LONGEST_NAME:]


def _awaiting() -> FrameType | None:
    """Where the coroutine stands that runs SQLAlchemy in a greenlet of its own."""
    greenlet: Any = sys.modules.get("greenlet")
    parent = greenlet.getcurrent().parent if greenlet else None
    return None if parent is None else parent.gr_frame


def task_name() -> str | None:
    """The name of the asyncio task that runs, or None outside of one."""
    asyncio: Any = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio else None
    except RuntimeError:  # no event loop in this thread
        return None
    return None if task is None else f"task {task.get_name()}"[:_LONGEST_NAME]
