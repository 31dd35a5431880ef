"""The supervisor's hold on the command and on its own children: what it waits on, and how it leaves none alive."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


class ReleasedError(Exception):
    """The command needs the server no longer."""


class Leash:
    """What is waited on: the command's end of the pipe, and the end of a child."""

    def __init__(self) -> None:
        self.released = False
        self._wake, write = os.pipe()
        for end in (self._wake, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._release)

    def _release(self, *_: object) -> None:
        self.released = True

    def read_order(self) -> bytes:
        """The first line of the pipe; empty when it was closed before."""
        order = b""
        while not order.endswith(b"\n"):
            part = os.read(0, 65536)
            if not part:
                return b""
            order += part
        return order

    def wait(self, seconds: float) -> None:
        """Wait until something happens, at most so long."""
        watched = [self._wake] if self.released else [self._wake, 0]
        ready, _, _ = select.select(watched, [], [], max(0.0, seconds))
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if 0 in ready:
            self.released = True

    def wait_for(self, process: subprocess.Popen[bytes], seconds: float, *, stopping: bool = False) -> bool:
        """Whether `process` ended in time. Raises ReleasedError when told to stop, unless we are `stopping` already."""
        end = time.monotonic() + seconds
        while process.poll() is None:
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self.released and not stopping:
                raise ReleasedError
            self.wait(left)
        return True


def adopt_orphans() -> None:
    """Become the parent of our children's orphans: a backend whose postmaster was killed is then ours to end (Linux)."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, prctl(2)


def kill_descendants(leash: Leash) -> None:
    """End every child and every orphan adopted, and wait until they are gone, at most 10 s."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        with suppress(OSError):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            leash.wait(0.02)
