"""unixODBC's register of drivers: which files it reads, and what is in them.

Facts: unixODBC 2.3, `__info.c` and `SQLGetPrivateProfileString.c`: ODBCSYSINI names the system's directory, ODBCINSTINI the file
in it (or a file, when it has a slash); `~/.odbcinst.ini` is read too. Without ODBCSYSINI the directory is the one the
library was built for: /etc in distributions, elsewhere in others' builds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_LINUX = ("/etc", "/usr/local/etc", "/etc/unixODBC")
_MACOS = ("/opt/homebrew/etc", "/usr/local/etc", "/opt/local/etc", "/etc")
_MOST_BYTES = 1_000_000


class Section(NamedTuple):
    """One section of an ini file: its name as written, its keys in lower case, and the file."""

    name: str
    values: Mapping[str, str]
    path: Path


def driver_files(environment: Mapping[str, str] | None = None) -> list[Path]:
    """The files in which drivers are registered, in the order of their weight, whether they exist or not."""
    environment = os.environ if environment is None else environment
    named = environment.get("ODBCINSTINI") or "odbcinst.ini"
    if "/" in named:
        return [*_of_home(environment, ".odbcinst.ini"), Path(named)]
    return [*_of_home(environment, ".odbcinst.ini"), *(place / named for place in _system(environment))]


def source_files(environment: Mapping[str, str] | None = None) -> list[Path]:
    """The files in which data sources are, in the order of their weight, whether they exist or not."""
    environment = os.environ if environment is None else environment
    own = environment.get("ODBCINI")
    first = [Path(own)] if own else _of_home(environment, ".odbc.ini")
    return list(dict.fromkeys([*first, *(place / "odbc.ini" for place in _system(environment))]))


def _system(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("ODBCSYSINI")
    places = (named,) if named else _MACOS if sys.platform == "darwin" else _LINUX
    return [Path(place) for place in places]


def _of_home(environment: Mapping[str, str], name: str) -> list[Path]:
    from dbdoctor.targets.libpq.home import home_directory

    home = home_directory(environment)
    return [Path(home) / name] if home else []


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


def registered(environment: Mapping[str, str] | None = None) -> list[Section]:
    """Every driver that is registered, each name once, without the section of the driver manager itself."""
    found: dict[str, Section] = {}
    for path in driver_files(environment):
        for section in read_sections(path):
            if section.name.lower() not in ("odbc", "odbc drivers"):
                found.setdefault(section.name.lower(), section)
    return list(found.values())


def data_source(name: str, environment: Mapping[str, str] | None = None) -> Section | None:
    """The data source of this name, as the driver manager would find it."""
    for path in source_files(environment):
        for section in read_sections(path):
            if section.name.lower() == name.lower():
                return section
    return None


def pooling(environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that switches on the driver manager's own pool, or None when it is off.

    Facts: with unixODBC 2.3.11, `Pooling` of `[ODBC]` as 1, y(es) or on keeps sessions open after they were closed,
    whatever `pyodbc.pooling` and `CPTimeout` are; `true` does not.
    """
    for path in driver_files(environment):
        for section in read_sections(path):
            if section.name.lower() == "odbc" and "pooling" in section.values:
                value = section.values["pooling"].lower()
                return path if value.startswith(("1", "y")) or value == "on" else None
    return None
