"""Where one run's recordings are: the directory made, old ones taken away, all files put into one at the end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.recorder import places

# Runs of the default directory that are kept: so many days, so many of them.
_DAYS, _RUNS = 7, 20
_RUN = re.compile(r"\d{8}-\d{6}-\d+")
# Marks that the processes leave: recorder/startup/sitecustomize.py.
MARKS = (".python", ".started", ".failed")


class Place:
    """The directory of this run's files; those that were in it before belong to earlier runs."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is made where it is missing; None makes a new default one. Raises UsageError."""
        self.is_default = directory is None
        self.directory = _new_default() if directory is None else _made(directory)
        self._before = set(self._all())
        self.forget_marks()

    def files(self) -> list[Path]:
        """The files of this run so far, by name."""
        return sorted(file for file in self._all() if file not in self._before)

    def mark(self, name: str) -> str | None:
        """What processes have left under this mark, or None."""
        try:
            return (self.directory / name).read_text(encoding="utf-8", errors="replace")[:10_000]
        except OSError:
            return None

    def forget_marks(self) -> None:
        """Take the marks away."""
        for name in MARKS:
            with contextlib.suppress(OSError):
                (self.directory / name).unlink()

    def remove_if_empty(self) -> None:
        """A run without a file leaves none of our directories behind."""
        if self.is_default:
            with contextlib.suppress(OSError):
                self.directory.rmdir()

    def move_into(self, file: Path, ended: Iterable[Path]) -> None:
        """Put these files, one after the other, into one, at once; then remove them. Raises OSError."""
        parts = list(ended)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            with open(temporary, "xb", opener=_private) as to:
                for part in parts:
                    _append_whole_lines(part, to.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
        for part in parts:
            part.unlink(missing_ok=True)

    def _all(self) -> list[Path]:
        try:
            return [entry for entry in self.directory.iterdir() if entry.name.endswith(places.SUFFIX)]
        except OSError:
            return []


def process_of(file: Path) -> int | None:
    """The id of the process that a file is of, as its name says."""
    number = file.name.partition("-")[0]
    return int(number) if number.isdecimal() and len(number) < 10 else None


def is_alive(file: Path) -> bool:
    """Whether the process that a file is of may still run; another that got its id counts when it is as young as that."""
    process = process_of(file)
    if process is None:
        return False
    began = places.start_ticks(process)
    return began is not None and began == _ticks_in(file)


def prune(keep: Path) -> None:
    """Take away runs that are old, or too many, of the default directory: those of which no process is alive."""
    try:
        runs = sorted(entry for entry in keep.parent.iterdir() if _RUN.fullmatch(entry.name) and entry.is_dir())
    except OSError:
        return
    others = [run for run in reversed(runs) if run != keep]
    for number, run in enumerate(others):
        with contextlib.suppress(OSError):
            if (number >= _RUNS - 1 or _is_old(run)) and not run.is_symlink() and _is_over(run):
                shutil.rmtree(run)


def _is_old(run: Path) -> bool:
    latest = max(entry.stat().st_mtime for entry in (run, *run.iterdir()))
    return time.time() - latest > _DAYS * 86400


def _is_over(run: Path) -> bool:
    """No process records into it, and nobody waits who might start one."""
    owner = int(run.name.rpartition("-")[2])
    if Path(f"/proc/{owner}").exists() and b"dbdoctor" in Path(f"/proc/{owner}/cmdline").read_bytes():
        return False
    return not any(is_alive(file) for file in run.iterdir())


def _new_default() -> Path:
    try:
        directory = Path(places.new_run())
    except OSError as error:
        raise UsageError(
            f"cannot make a directory in {places.default_directory()}",
            cause=error.strerror,
            help="say where the recordings go: `dbdoctor run --out DIR -- ...`",
        ) from None
    prune(directory)
    return directory


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {directory}", cause=error.strerror, help="choose another `--out`") from None
    return directory


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _append_whole_lines(part: Path, to: int) -> None:
    """All of a file but a last line that was cut short: with the next file's first it would make one that is neither."""
    with part.open("rb") as source:
        end = _end_of_last_line(source.fileno())
        done = 0
        while done < end:
            done += os.sendfile(to, source.fileno(), done, end - done)


def _end_of_last_line(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    while size > 0:
        start = max(0, size - 65536)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0


def _ticks_in(file: Path) -> object:
    import json

    try:
        with file.open("rb") as opened:
            header = json.loads(opened.readline(65536))
    except (OSError, ValueError):
        return None
    return header.get("start_ticks") if isinstance(header, dict) else None
