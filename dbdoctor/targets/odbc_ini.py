"""unixODBC's register of drivers: which files it reads, and what is in them.

Facts: unixODBC 2.3, `__info.c` and `SQLGetPrivateProfileString.c`: ODBCSYSINI names the system's directory, ODBCINSTINI the file
in it (or a file, when it has a slash); `~/.odbcinst.ini` is read too. Without ODBCSYSINI the directory is the one the
library was built for: /etc in distributions, elsewhere in others' builds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_SYSTEM = ("/etc", "/usr/local/etc", "/opt/homebrew/etc", "/etc/unixODBC", "/opt/local/etc")
_MOST_BYTES = 1_000_000


class Section(NamedTuple):
    """One section of an ini file: its name as written, its keys in lower case, and the file."""

    name: str
    values: Mapping[str, str]
    path: Path


def driver_files() -> list[Path]:
    """The files in which drivers are registered, in the order of their weight, whether they exist or not."""
    named = os.environ.get("ODBCINSTINI") or "odbcinst.ini"
    system = os.environ.get("ODBCSYSINI")
    places = [Path(system)] if system else [Path(place) for place in _SYSTEM]
    own = Path("~/.odbcinst.ini").expanduser()
    return [own, *(Path(named) if "/" in named else place / named for place in places)]


def source_files() -> list[Path]:
    """The files in which data sources are, in the order of their weight, whether they exist or not."""
    own = os.environ.get("ODBCINI")
    system = os.environ.get("ODBCSYSINI")
    places = [Path(system)] if system else [Path(place) for place in _SYSTEM]
    return [Path(own) if own else Path("~/.odbc.ini").expanduser(), *(place / "odbc.ini" for place in places)]


def read_sections(path: Path) -> list[Section]:
    """The sections of an ini file as unixODBC reads it; none when it cannot be read."""
    try:
        with path.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return list(_sections(text, path))


def _sections(text: str, path: Path) -> Iterator[Section]:
    name: str | None = None
    values: dict[str, str] = {}
    for line in text.splitlines():
        written = line.strip()
        if written.startswith("["):
            if name is not None:
                yield Section(name, values, path)
            name, values = written[1:].partition("]")[0].strip(), {}
        elif written and written[0] not in ";#" and "=" in written:
            key, _, value = written.partition("=")
            values.setdefault(key.strip().lower(), value.strip())
    if name is not None:
        yield Section(name, values, path)


def registered() -> list[Section]:
    """Every driver that is registered, each name once, without the section of the driver manager itself."""
    found: dict[str, Section] = {}
    for path in driver_files():
        for section in read_sections(path):
            if section.name.lower() not in ("odbc", "odbc drivers"):
                found.setdefault(section.name.lower(), section)
    return list(found.values())
