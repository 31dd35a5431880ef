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
        self._most = self._half
        self._size = self._begun = 0
        self.is_begun = False

    def begin(self, text: str) -> None:
        """Put what there is aside, in the place of what was put aside before, and begin with this text."""
        if self.is_begun and os.path.exists(self.path):
            os.replace(self.path, self._older)
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        self._write(text, os.O_CREAT | os.O_EXCL)
        self.is_begun = True
        self._size = self._begun = len(text)
        # What is told again at its beginning must not fill it, or every text would begin another.
        self._most = max(self._half, 2 * self._size)

    def append(self, text: str) -> None:
        """Append. Raises FileNotFoundError when the file is gone."""
        self._write(text, 0)
        self._size += len(text)

    def touch(self) -> bool:
        """Say that the recorder is alive; False when the file is gone, and has to be begun again."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return True

    def has_room(self, size: int) -> bool:
        """Whether so many bytes can be added; else it is time to begin anew. A new one has, whatever comes."""
        return not size or self._size <= self._begun or self._size + size <= self._most

    def _write(self, text: str, flags: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | flags, 0o600)
        try:
            left = memoryview(text.encode("utf-8", "backslashreplace"))
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
