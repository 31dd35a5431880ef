"""Finds the recorder's files: of the processes that are alive on this host, and those that a user names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.model.recorded import Header
from dbdoctor.traces.growing import open_plain
from dbdoctor.traces.read import first_header

FRESH = 5.0
"""A recorder renews its file's time every half second; one that did not for so long (seconds) has stopped."""
_ENDINGS, _ASIDE = (".jsonl", ".jsonl.gz"), ".1.jsonl"
_MOST_FILES = 20_000


class LiveRecording(NamedTuple):
    """The file of a process that is alive. `age` is seconds since the recorder renewed it last."""

    path: Path
    header: Header
    age: float

    @property
    def fresh(self) -> bool:
        """Whether the recorder in that process works still."""
        return abs(self.age) <= FRESH


def default_places() -> tuple[Path, ...]:
    """The directories in which runs are recorded when nothing else is said: at home, and where there is no home."""
    from dbdoctor.recorder.places import fallback_directory

    state = os.environ.get("XDG_STATE_HOME") or str(Path("~").expanduser() / ".local" / "state")
    return Path(state, "dbdoctor", "recordings"), Path(fallback_directory())


def live_recordings(directory: Path | None = None) -> list[LiveRecording]:
    """The files of processes that are alive on this host, in this directory and the runs in it, or in the default ones.

    Of the default ones only what is this user's own (or root's) is looked at. Never raises.
    """
    places = (directory,) if directory is not None else tuple(filter(_is_ours, default_places()))
    now = time.time()
    found: list[LiveRecording] = []
    for path in (path for place in places for path in _below(place)):
        if path.name.endswith(_ASIDE):
            continue
        header, changed = _header_of(path)
        if header is not None and is_alive(header):
            found.append(LiveRecording(path, header, now - changed))
    return found


def is_alive(header: Header) -> bool:
    """Whether this very process runs on this host: its id, and when it began by the kernel's own count, are the same."""
    if header.host != socket.gethostname()[:255] or not 0 < header.process < 1 << 31:
        return False
    from dbdoctor.recorder.places import start_ticks

    if header.start_ticks is not None:
        return start_ticks(header.process) == header.start_ticks
    try:  # a system without /proc
        os.kill(header.process, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def recording_files(paths: Iterable[Path]) -> list[Path]:
    """The files that the paths name: a directory stands for those of the run in it. Each once, older parts first.

    Raises UsageError for what is not there, and for a directory without a recording.
    """
    found: dict[str, Path] = {}
    for path in paths:
        for file in _named(path):
            found.setdefault(os.path.realpath(file), file)
    return sorted(found.values(), key=_order)


def by_process(files: Iterable[Path]) -> list[list[Path]]:
    """The files (as `recording_files` gives them) of each process together; what has no header stands alone."""
    found: dict[str, list[Path]] = {}
    for file in files:
        header, _ = (None, 0.0) if str(file) == "-" else _header_of(file)
        found.setdefault(header.identity if header else str(file), []).append(file)
    return list(found.values())


def newest_run() -> Path | None:
    """The directory of the run that was recorded last, of the default ones; None without any."""
    runs = [run for place in filter(_is_ours, default_places()) for run in _runs(place)]
    return max(runs, key=lambda run: run.name, default=None)


def opened(path: Path) -> BinaryIO:
    """What the file holds, unpacked where it is packed; stdin for `-`. Raises OSError."""
    if str(path) == "-":
        import sys

        return open(sys.stdin.fileno(), "rb", closefd=False)
    if path.suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _is_ours(place: Path) -> bool:
    """Whether nobody else could have put files there: /tmp is everybody's."""
    try:
        return place.stat().st_uid in (os.getuid(), 0)
    except OSError:
        return False


def _runs(place: Path) -> list[Path]:
    """The directories of runs below this one."""
    try:
        with os.scandir(place) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _files(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [Path(entry.path) for entry in entries if entry.name.endswith(_ENDINGS) and entry.is_file()]
    except OSError:
        return []


def _below(place: Path) -> Iterator[Path]:
    """The files in this directory and in the runs below it; the place itself where it is a file."""
    if place.is_file():
        yield place
        return
    yield from islice(chain(_files(place), *map(_files, _runs(place))), _MOST_FILES)


def _named(path: Path) -> list[Path]:
    if not path.is_dir():
        if str(path) != "-" and not path.exists():
            raise UsageError(f"there is no `{path}`", help="name a file of the recorder, or the directory of a run")
        return [path]
    files = _files(path)
    if not files:
        runs = [run for run in _runs(path) if _files(run)]
        newest = max(runs, key=lambda run: run.name, default=None)
        raise UsageError(
            f"there is no recording in `{path}`" + (", but in directories below it" if newest else ""),
            help=f"name one of these runs: the newest is `{newest}`"
            if newest
            else "record one: `dbdoctor run -- COMMAND`",
        )
    return files


def _order(path: Path) -> tuple[str, float, int, str]:
    """The parts of one process's recording together, the older ones first."""
    if str(path) == "-":
        return "", 0.0, 0, "-"
    header, _ = _header_of(path)
    return (header.identity, header.began, header.part, str(path)) if header else ("", 0.0, 0, str(path))


def _header_of(path: Path) -> tuple[Header | None, float]:
    """The file's first line, and when the file was changed (Unix seconds)."""
    try:
        descriptor = open_plain(path)
    except OSError:
        return None, 0.0
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return first_header(stream), os.fstat(descriptor).st_mtime
        except OSError:
            return None, 0.0
