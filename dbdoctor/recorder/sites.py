"""Call sites: which lines of the application asked for a connection.

A site is up to four frames, innermost first, outside SQLAlchemy, the standard library and this package; of installed
packages' frames no more than two come before the first of the application's own. The walk up the stack ends with the last
frame wanted, so its cost hangs on how far away the application is, not on how deep the stack is.
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
_UNKNOWN, _NOTHING = -1, -2
_HIDDEN, _INSTALLED, _OWN = 0, 1, 2  # what a file is
_MOST_INSTALLED = 2
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
        self._kinds: dict[str, int] = {}  # by file name
        self._kind_of = self._kinds.get
        self._own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
        self._library = _library_directories()

    def here(self, frame: FrameType | None) -> int:
        """The number of the site from this frame on outwards, or less than 0 when `outside` has to find it."""
        kind_of = self._kind_of
        key: list[int] = []
        append = key.append
        is_inside = True  # of installed packages, or of nothing wanted yet
        while frame is not None:
            code = frame.f_code
            kind = kind_of(code.co_filename, 2)  # as in _OWN: names of the module are too dear here
            if kind:
                if kind == 2:
                    is_inside = False
                elif is_inside and len(key) >= 4:  # 2 * _MOST_INSTALLED
                    frame = frame.f_back
                    continue
                append(id(code))
                append(frame.f_lasti)
                if len(key) == 8:  # 2 * MOST_FRAMES
                    break
            frame = frame.f_back
        return self._numbers.get(tuple(key), _UNKNOWN) if key else _NOTHING

    def outside(self, frame: FrameType | None, found: int = _UNKNOWN) -> int:
        """The same for a site that is new, or whose application frames are outside of this greenlet (asyncio).

        `found` is what `here` gave: asyncio's checkouts all come here, and most from sites that are known.
        """
        if found == _NOTHING:
            known = self.here(_awaiting())
            if known >= 0:
                return known
        frames = self._walk(frame) or self._walk(_awaiting())
        key = tuple(number for one in frames for number in (id(one.f_code), one.f_lasti))
        number = self._numbers.get(key)
        return self._add(key, frames) if number is None else number

    def _walk(self, frame: FrameType | None) -> list[FrameType]:
        found: list[FrameType] = []
        is_inside = True
        while frame is not None and len(found) < MOST_FRAMES:
            kind = self._kind(frame)
            if kind == _OWN or (kind == _INSTALLED and (not is_inside or len(found) < _MOST_INSTALLED)):
                is_inside = is_inside and kind != _OWN
                found.append(frame)
            frame = frame.f_back
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

    def _kind(self, frame: FrameType) -> int:
        name = frame.f_code.co_filename
        known = self._kinds.get(name)
        if known is not None:
            return known
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        kind = _HIDDEN if package in _HIDDEN_PACKAGES else self._kind_of_file(name)
        # SQLAlchemy and applications alike compile a "<string>".
        if not name.startswith("<") and len(self._kinds) < _MOST_FILES:
            self._kinds[name] = kind
        return kind

    def _kind_of_file(self, name: str) -> int:
        if name.startswith(("<frozen", self._own)):
            return _HIDDEN
        if "site-packages" + os.sep in name or "dist-packages" + os.sep in name:
            return _INSTALLED
        return _HIDDEN if any(name.startswith(directory) for directory in self._library) else _OWN


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
