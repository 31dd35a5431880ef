"""One process's file: appended to, never held open, and begun anew when it has grown to half of what it may have.

It is opened for each write, since a program may close every descriptor that it does not know, as daemons do, and its own
next file or socket would then have ours.
"""

from __future__ import annotations

import os


class RecordFile:
    """Appends text. Every method may raise OSError."""

    def __init__(self, directory: str, name: str, most_bytes: int) -> None:
        self.path = os.path.join(directory, name)
        self._older = self.path[: -len(".jsonl")] + ".1.jsonl"
        self._half = most_bytes // 2
        self._size = 0
        self.is_begun = False

    def begin(self, text: str) -> None:
        """Put what there is aside, in the place of what was put aside before, and begin with this text."""
        if self.is_begun and os.path.exists(self.path):
            os.replace(self.path, self._older)
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        self._write(text, os.O_CREAT | os.O_EXCL)
        self.is_begun = True
        self._size = len(text)

    def append(self, text: str) -> bool:
        """Append, or give False when the file is gone: it has to be begun again."""
        try:
            self._write(text, 0)
        except FileNotFoundError:
            return False
        self._size += len(text)
        return True

    def touch(self) -> None:
        """Say that the recorder is alive, with nothing to tell."""
        if self.is_begun:
            os.utime(self.path)

    @property
    def is_full(self) -> bool:
        """Whether it is time to begin anew."""
        return self._size > self._half

    def _write(self, text: str, flags: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | flags, 0o600)
        try:
            left = memoryview(text.encode("utf-8", "backslashreplace"))
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
