"""`--record FILE`: snapshots appended to a file as they come, so that a crash costs one of them at most."""

from __future__ import annotations

import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbdoctor.errors import UsageError
from dbdoctor.model.leaks import WatchOptions
from dbdoctor.model.secret import redact
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.snapshot import Gap, Snapshot
from dbdoctor.model.target import Target
from dbdoctor.watch.recording import SCHEMA, Encoder, columns, facts_object, gap_line

# How often the file is made safe against the loss of power (seconds); the loss of our own process costs nothing written.
_SAFE_EVERY = 5.0
# Texts whose masked form is remembered; application names are few.
_REMEMBERED = 10_000


class Recorder:
    """Writes a recording of one target; made before anything is looked at, so that a bad file is said at once.

    The file is readable by its owner alone. Raises UsageError when it cannot be written, is no recording, is one of another
    target, or is being written by somebody else. After the first failure to write, `failed` says why, and nothing more is
    written.
    """

    def __init__(self, path: Path, target: Target, options: WatchOptions, *, interval: float, statements: bool) -> None:
        self.failed: str | None = None
        self._path = path
        self._target = target
        self._options = options
        self._interval = interval
        self._encoder = Encoder(statements=statements, mask=_Mask())
        self._begun = False
        self._safe_at = time.monotonic()
        self._descriptor = _open(path)
        try:
            self._torn = _check(self._descriptor, target)
        except BaseException:
            os.close(self._descriptor)
            raise

    def facts(self, facts: ServerFacts) -> None:
        """After each login; before the first snapshot."""
        if not self._begun:
            self._begun = True
            self._write(json.dumps(self._header(facts), separators=(",", ":")))
        self._write(json.dumps(facts_object(facts), separators=(",", ":"), default=str))

    def gap(self, gap: Gap) -> None:
        """A time in which nothing was seen."""
        self._write(gap_line(gap._replace(reason=redact(gap.reason))))

    def snapshot(self, snapshot: Snapshot) -> None:
        """The next snapshot."""
        self._write(self._encoder.line(snapshot))

    def close(self) -> None:
        """End the recording; never raises."""
        if self._descriptor >= 0:
            self._make_safe()
            os.close(self._descriptor)
            self._descriptor = -1

    def _header(self, facts: ServerFacts) -> dict[str, Any]:
        target = self._target
        return {
            "schema": SCHEMA,
            "target": target.shown,
            "product": facts.product,
            "version": facts.version,
            "options": self._options._asdict(),
            "interval": self._interval,
            "started": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "of": {
                "product": target.product.value,
                "endpoints": [list(endpoint) for endpoint in target.endpoints],
                "user": target.user,
                "database": target.database,
                "profile": target.profile,
                "path_idle_timeout": target.path_idle_timeout,
                "pool": target.pool._asdict() if target.pool else None,
                "thresholds": dict(target.thresholds),
            },
            "columns": columns(),
        }

    def _write(self, line: str) -> None:
        """The line whole, in one call where the file system lets us."""
        if self.failed:
            return
        # A line that a crash left torn is ended first, so that it takes no other with it.
        data = memoryview(("\n" * self._torn + line + "\n").encode("ascii"))
        self._torn = False
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.failed = f"the recording ends here, {self._path} cannot be written: {error.strerror}"
            return
        if time.monotonic() - self._safe_at >= _SAFE_EVERY:
            self._make_safe()

    def _make_safe(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.failed = self.failed or f"the recording may be lost, {self._path}: {error.strerror}"
        self._safe_at = time.monotonic()


class _Mask:
    """`redact`, with its results remembered: the same few texts come again with each snapshot."""

    def __init__(self) -> None:
        self._masked: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        masked = self._masked.get(text)
        if masked is None:
            if len(self._masked) >= _REMEMBERED:
                self._masked.clear()
            masked = self._masked[text] = redact(text)
        return masked


def _open(path: Path) -> int:
    try:
        # Not blocking: a pipe would have us wait for its reader.
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise UsageError(
            "cannot write the recording", cause=error.strerror, help="give `--record` another file"
        ) from None
    try:
        _claim(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _claim(descriptor: int) -> None:
    import fcntl

    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError("a recording is written to a plain file only", help="give `--record` another file")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError("another dbdoctor writes this recording now", help="give `--record` another file") from None


def _check(descriptor: int, target: Target) -> bool:
    """Whether the file ends in a torn line. Raises UsageError when it has anything but a recording of this target."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return False
    from dbdoctor.watch.replay import read_header

    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        header = read_header(file)
    if header.get("target") != target.shown:
        raise UsageError(
            "the recording is one of another target",
            help="give `--record` a file of its own for each target; `--replay` reads one",
        )
    return os.pread(descriptor, 1, size - 1) != b"\n"
