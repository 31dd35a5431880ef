"""Checkouts that tests leave behind, in memory: for the plugin of pytest."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from typing import Any, NamedTuple

from dbdoctor.recorder.recorder import GARBAGE, Entry, Recorder, Settings
from dbdoctor.recorder.sites import Frame
from dbdoctor.recorder.start import hook

_GRACE = 1.0  # seconds for another thread, such as a server under test, to return what it has
_STEP = 0.01
_MOST_GARBAGE = 10_000


class Leak(NamedTuple):
    """A checkout that was not returned: the calls that took it (innermost first), and how long it was held."""

    site: tuple[Frame, ...]
    seconds: float
    is_out: bool  # False: it was collected as garbage

    def frames(self, root: str) -> list[str]:
        """`shop/orders.py:41 in total`, below `root` without it; without installed packages when there is anything else."""
        own = [one for one in self.site if "-packages" + os.sep not in one[0]]
        start = root.rstrip(os.sep) + os.sep
        return [f"{name.removeprefix(start)}:{number} in {function}" for name, number, function in own or self.site]


class _InMemory(Recorder):
    """Keeps what ends as garbage, and nothing else that ends."""

    def __init__(self) -> None:
        self.garbage: deque[tuple[Any, ...]] = deque(maxlen=_MOST_GARBAGE)
        super().__init__(Settings("", leak_after=float(2**31)))

    def begin(self) -> None:
        """As after a fork."""
        super().begin()
        self.asleep = False  # nobody to wake
        self.garbage.clear()

    def finish(self, entry: tuple[Any, ...], at: int, how: str, site: int | None = None) -> None:
        """An end that is not an ordinary one."""
        del site
        if how == GARBAGE:
            self.garbage.append((entry, at))

    def tell(self, event: tuple[Any, ...]) -> None:
        """Nobody to read it."""


class Watch:
    """Hooks SQLAlchemy, beside a recorder that writes a file if there is one. Raises ImportError without SQLAlchemy."""

    def __init__(self) -> None:
        self._recorder = _InMemory()
        self._excused: set[tuple[int, int]] = set()
        hook(self._recorder, _nothing, ("checkin", "close", "invalidate", "detach"))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._recorder.begin)

    def begin(self) -> int:
        """A test begins: what `leaks` is to be given at its end."""
        self._recorder.finished.clear()
        self._excused &= self.out()
        return time.perf_counter_ns()

    def out(self) -> set[tuple[int, int]]:
        """Which checkouts are out now."""
        return {_key(entry) for entry in list(self._recorder.opened.values())}

    def excuse(self, before: set[tuple[int, int]]) -> None:
        """Those taken since then may stay out."""
        self._excused |= self.out() - before

    def leaks(self, began: int) -> list[Leak]:
        """What was taken since then and not returned; it is told once."""
        recorder = self._recorder
        found = self._left_out(began)
        until = time.perf_counter() + _GRACE
        while _is_elsewhere(found) and time.perf_counter() < until:
            time.sleep(_STEP)
            found = self._left_out(began)
        garbage = []
        while recorder.garbage:
            garbage.append(recorder.garbage.popleft())
        recorder.finished.clear()
        self._excused |= {_key(one) for one in found}
        now = time.perf_counter_ns()
        ended = [self._leak(entry, at, is_out=False) for entry, at in garbage if self._is_left(entry, began)]
        return ended + [self._leak(entry, now, is_out=True) for entry in sorted(found, key=lambda one: one[1])]

    def _left_out(self, began: int) -> list[tuple[Any, ...]]:
        return [one for one in list(self._recorder.opened.values()) if self._is_left(one, began)]

    def _is_left(self, entry: tuple[Any, ...], began: int) -> bool:
        return bool(entry[1] >= began and _key(entry) not in self._excused)

    def _leak(self, entry: tuple[Any, ...], at: int, *, is_out: bool) -> Leak:
        told = Entry(*entry)
        return Leak(self._recorder.sites.frames.get(told.site, ()), (at - told.got) / 1e9, is_out)


def _is_elsewhere(entries: list[tuple[Any, ...]]) -> bool:
    """Whether one is held by another thread that lives."""
    others = {entry[4] for entry in entries} - {threading.get_ident()}
    return bool(others and not others.isdisjoint(sys._current_frames()))


def _key(entry: tuple[Any, ...]) -> tuple[int, int]:
    return entry[0], entry[3]


def _nothing() -> None:
    pass
