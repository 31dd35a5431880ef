"""The password file (`.pgpass`): whether libpq will use it for a target, or ignores it silently.

Source: passwordFromFile of libpq's fe-connect.c.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dbdoctor.model.secret import remember
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.libpq.home import home_directory

_DEFAULT_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 (libpq's own)
# A password file is a few lines; what is longer is something else, and reading it would only cost time.
_LARGEST = 1_000_000


class PassfileState(NamedTuple):
    """What there is to know of the password file. `path` is None when there is no home directory to look in.

    `permissions_too_open`: group or others have access, so libpq ignores it. `matches`: a line in it is for this target.
    """

    path: Path | None
    exists: bool = False
    permissions_too_open: bool = False
    matches: bool = False


def passfile(target: Target, environment: Mapping[str, str]) -> PassfileState:
    """Look at the password file that libpq would read for this target. Every password in it becomes known to `redact`.

    Never raises: a file that cannot be read counts as not there, as with libpq.
    """
    path = _path(target, environment)
    if path is None:
        return PassfileState(None)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return PassfileState(path)
        open_to_others = sys.platform != "win32" and bool(status.st_mode & (stat.S_IRWXG | stat.S_IRWXO))
        text = path.read_bytes().decode("utf-8", "replace") if status.st_size <= _LARGEST else ""
    except (OSError, ValueError):
        return PassfileState(path)
    lines = [_fields(line) for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        if len(line) >= 5:
            remember(line[4])
    matches = any(_matches(line, wanted) for line in lines for wanted in _wanted(target))
    return PassfileState(path, exists=True, permissions_too_open=open_to_others, matches=matches)


def _path(target: Target, environment: Mapping[str, str]) -> Path | None:
    chosen = target.parameters.get("passfile") or environment.get("PGPASSFILE")
    if chosen:
        return Path(chosen)
    home = home_directory(environment)
    return home / ("pgpass.conf" if sys.platform == "win32" else ".pgpass") if home else None


def _wanted(target: Target) -> Iterator[tuple[str, str, str, str]]:
    for end in target.endpoints:
        yield _host(end), str(end.port or 5432), target.database or target.user or "", target.user or ""


def _host(end: Endpoint) -> str:
    host = end.host or end.address or "localhost"
    return "localhost" if host in _DEFAULT_SOCKET_DIRECTORIES else host


def _matches(line: list[str], wanted: tuple[str, str, str, str]) -> bool:
    return len(line) >= 5 and bool(line[4]) and all(a in ("*", b) for a, b in zip(line, wanted, strict=False))


def _fields(line: str) -> list[str]:
    """The line's fields, with backslashes taken off; a `:` or backslash in a field has one before it."""
    fields: list[str] = []
    current, escaped = "", False
    for letter in line:
        if escaped or letter not in "\\:" or (letter == ":" and len(fields) == 4):
            current, escaped = current + letter, False
        elif letter == "\\":
            escaped = True
        else:
            fields.append(current)
            current = ""
    return [*fields, current]
