"""What `run` was asked for: its options read and checked before anything is started."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dbdoctor.cli.options import read_duration
from dbdoctor.errors import UsageError

_SHORTEST, _LONGEST = 0.1, 7 * 86400.0
_UNITS = {"kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_LEAST_BYTES, _MOST_BYTES = 1000**2, 100 * 1000**3
_FILE = ".jsonl"


class RunOptions(NamedTuple):
    """What was asked for; `leak_after` in seconds, `most_bytes` for one process. At most one of `directory`, `file` is given."""

    command: tuple[str, ...]
    directory: Path | None
    file: Path | None
    leak_after: float
    sample: float
    most_bytes: int
    quiet: bool
    no_color: bool


def read_run_options(
    *,
    command: Sequence[str],
    out: str | None,
    leak_after: str,
    sample: float,
    max_size: str,
    quiet: bool,
    no_color: bool,
) -> RunOptions:
    """The options as they were typed, read. Raises UsageError."""
    if not command or not command[0]:
        raise UsageError("there is no command to run", help="for example `dbdoctor run -- python shop.py`")
    if not 0 < sample <= 1:  # NaN is neither
        raise UsageError("`--sample` must be greater than 0 and at most 1", help="for example `--sample 0.1`")
    seconds = read_duration("--leak-after", leak_after, least=_SHORTEST, most=_LONGEST)
    assert seconds is not None
    directory, file = _read_out(out)
    return RunOptions(
        tuple(command), directory, file, seconds, sample, _read_size(max_size), quiet=quiet, no_color=no_color
    )


def _read_size(text: str) -> int:
    """Bytes from `64MB`, `500kB`, `1GiB`."""
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([kmg]i?b)\s*", text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise UsageError("`--max-size` is not a size", help="for example `--max-size 64MB`")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise UsageError("`--max-size` must lie between 1MB and 100GB", help="for example `--max-size 64MB`")
    return size


def _read_out(out: str | None) -> tuple[Path | None, Path | None]:
    """(directory, file), absolute, since programs change their directory."""
    if out is None:
        return None, None
    if not out or "\0" in out:
        raise UsageError("`--out` is empty", help="for example `--out recordings`")
    if "://" in out or "@" in out:  # it is not said again: a password may be in it
        raise UsageError(
            "`--out` is a file or a directory, and this looks like a DSN", help="for example `--out recordings`"
        )
    place = Path(out).absolute()
    if place.is_dir():
        return _usable(place), None
    if place.suffix == _FILE:
        _usable(place.parent)
        _check_replaceable(place)
        return None, place
    if place.exists():
        raise UsageError(
            f"`--out` is neither a directory nor a file whose name ends {_FILE}", help="for example `--out run.jsonl`"
        )
    return place, None


def _usable(directory: Path) -> Path:
    if not directory.is_dir():
        raise UsageError(f"there is no directory {directory}", help="make it first, with `mkdir -p`")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write in {directory}", help="choose another `--out`")
    return directory


def _check_replaceable(file: Path) -> None:
    """An earlier recording is replaced at the end; anything else is somebody's work."""
    try:
        if not file.exists():
            return
        if not file.is_file():
            raise UsageError(f"{file} is no ordinary file", help="choose another `--out`")
        with file.open("rb") as opened:
            start = opened.read(200)
    except OSError as error:
        raise UsageError(
            f"cannot read {file}, to see whether it may be replaced",
            cause=error.strerror,
            help="choose another `--out`",
        ) from None
    if start and not start.startswith(b'{"schema":"dbdoctor.recorder/'):
        raise UsageError(f"{file} is there, and is not a recording: it is left alone", help="choose another `--out`")
