"""Files that grow while they are read: opened so that nothing in their place can hold us up, and cut into whole lines."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LONGEST_LINE = 1 << 20
"""Bytes; none of the recorder's is as long."""


def aside_of(path: Path) -> Path:
    """Where the recorder puts the older half of this file."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def open_plain(path: Path) -> int:
    """A plain file's descriptor; a pipe that somebody put there would have us wait. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a plain file")
    return descriptor


class Lines:
    """Whole lines out of what was read so far; one that is longer than LONGEST_LINE is left out, and counted."""

    def __init__(self) -> None:
        self.left_out = 0
        self.forget()

    def forget(self) -> None:
        """Begin with another file."""
        self._rest = b""
        self._skipping = False

    def take(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk, the first one's beginning included; without their line feeds."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        if lines and self._skipping:
            del lines[0]
            self._skipping = False
        self._rest = b"" if self._skipping else rest
        if len(self._rest) > LONGEST_LINE:
            self.left_out += 1
            self._rest, self._skipping = b"", True
        return lines
