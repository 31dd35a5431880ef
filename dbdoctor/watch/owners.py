"""Which process has a socket, found by its inode among the open files in /proc; others' files are root's to see."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator

# Open files between two looks at the clock.
_STRIDE = 64


class Owners:
    """Searches the processes of this host for the owners of sockets, a little at a time, since there may be very many."""

    def __init__(self) -> None:
        # How many more passes over all processes to search for an inode.
        self._passes: dict[int, int] = {}
        self._files: Iterator[tuple[int, int]] | None = None
        self._given_up: set[int] = set()

    @property
    def is_searching(self) -> bool:
        """Whether an owner may still be found."""
        return bool(self._passes)

    def search(
        self, inodes: Collection[int], until: float, *, first: Collection[int] = (), last: Collection[int] = ()
    ) -> dict[int, int]:
        """Process ids by inode, of those found now. Processes `first` are looked at before, `last` after all others.

        At `until` (CPU time of this thread, seconds) it stops, and the next call goes on from there. An inode that is in
        no process that we may look at is given up, for as long as it is asked for.
        """
        self._given_up.intersection_update(inodes)
        # Who comes while a pass is under way gets the rest of it and a whole one.
        passes = 1 if self._files is None else 2
        wanted = set(inodes) - self._given_up
        new = {inode for inode in wanted if inode and inode not in self._passes}
        self._passes = {inode: self._passes.get(inode, passes) for inode in wanted if inode}
        found: dict[int, int] = {}
        if new and self._files is not None:
            # Mostly it is a process that has sessions already; the pass under way may be far beyond it.
            self._take_from(first, new, until, found)
        while self._passes and time.thread_time() < until:
            if self._files is None:
                self._files = _open_files(_processes(first, last))
            self._take(self._files, found)
        if not self._passes:
            self._files = None
        return found

    def _take_from(self, pids: Collection[int], new: set[int], until: float, found: dict[int, int]) -> None:
        for pid, inode in _open_files(iter(sorted(pids))):
            if inode in new and self._passes.pop(inode, None) is not None:
                found[inode] = pid
                new.discard(inode)
            if not new or time.thread_time() >= until:
                return

    def _take(self, files: Iterator[tuple[int, int]], found: dict[int, int]) -> None:
        for _ in range(_STRIDE):
            entry = next(files, None)
            if entry is None:
                self._end_pass()
                return
            pid, inode = entry
            if self._passes.pop(inode, None) is not None:
                found[inode] = pid
                if not self._passes:
                    return

    def _end_pass(self) -> None:
        self._files = None
        self._given_up.update(inode for inode, left in self._passes.items() if left <= 1)
        self._passes = {inode: left - 1 for inode, left in self._passes.items() if left > 1}


def _processes(first: Collection[int], last: Collection[int]) -> Iterator[int]:
    yield from sorted(first)
    try:
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - a pathlib.Path each costs
    except OSError:
        return
    pids.difference_update(first)
    yield from sorted(pids.difference(last))
    yield from sorted(pids.intersection(last))


def _open_files(pids: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Process and inode of each open file, 0 for what is no socket."""
    for pid in pids:
        directory = f"/proc/{pid}/fd"
        try:
            names = os.listdir(directory)  # noqa: PTH208
        except OSError:  # another user's, or it has ended
            names = []
            yield pid, 0
        for name in reversed(names):  # a process that opens more and more has the latest at the end
            try:
                target = os.readlink(f"{directory}/{name}")  # noqa: PTH115
            except OSError:
                target = ""
            yield pid, int(target[8:-1]) if target.startswith("socket:[") else 0
