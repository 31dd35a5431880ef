"""Which ODBC drivers of SQL Server this machine has, best first.

What the target names; Microsoft's that are registered, the newest first; the one in the package mssql-python-odbc; FreeTDS.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from dbdoctor.databases.odbc.driver import FREETDS, MICROSOFT, Driver, DriverMissingError
from dbdoctor.databases.odbc.install import no_driver, not_loadable
from dbdoctor.model.target import Target
from dbdoctor.targets.odbc_ini import registered

_MICROSOFT_FILE = re.compile(r"libmsodbcsql(?:-|\.)(\d+)(?:\.(\d+))?\.?(?:so|dylib)?\.?([\d.]*)")
_FREETDS_FILE = "libtdsodbc"
_PACKAGE = "mssql_python_odbc"
_FREETDS_PLACES = (
    "/usr/lib/*-linux-gnu*/odbc/libtdsodbc.so",
    "/usr/lib64/libtdsodbc.so*",
    "/usr/lib/libtdsodbc.so*",
    "/usr/local/lib/libtdsodbc.so",
    "/opt/homebrew/lib/libtdsodbc.so",
)
_LIBRARY_PLACES = ("/usr/lib/*-linux-gnu*/odbc", "/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/usr/local/lib")
_MICROSOFT_PLACES = (
    "/opt/microsoft/msodbcsql1[78]/lib64/libmsodbcsql-1[78].*.so.*",
    "/usr/local/lib/libmsodbcsql.1[78].dylib",
    "/opt/homebrew/lib/libmsodbcsql.1[78].dylib",
)


def find_all() -> list[Driver]:
    """Every driver found whose file is there, the best first, each file once."""
    found: dict[str, Driver] = {}
    for driver in (*_registered(), *_unregistered()):
        if "/" not in driver.path or Path(driver.path).is_file():
            found.setdefault(str(Path(driver.path).resolve()), driver)
    return sorted(found.values(), key=_rank)


def broken() -> list[Driver]:
    """Drivers that are registered while their file is not there: `Can't open lib`."""
    return [driver for driver in _registered() if "/" in driver.path and not Path(driver.path).is_file()]


def choose(target: Target | None = None) -> Driver:
    """The driver for a target. Raises DriverMissingError when there is none that could be used."""
    wanted = target.parameters.get("Driver", "") if target else ""
    if wanted:
        named = _named(wanted)
        if named is not None:
            return named
    found = find_all()
    if found:
        return found[0]
    gone = broken()
    raise not_loadable(gone[0]) if gone else no_driver()


def is_known(wanted: str) -> bool:
    """Whether the driver manager finds a driver of this name, or the file is there: else `Can't open lib`."""
    if "/" in wanted:
        return Path(wanted).is_file()
    return any(section.name.lower() == wanted.lower() for section in registered())


def _named(wanted: str) -> Driver | None:
    """What `Driver=` names: a file or a registered name."""
    if "/" in wanted:
        kind = kind_of(wanted)
        return Driver(wanted, wanted, kind, version_of(wanted), "the target") if kind else None
    for driver in find_all():
        if driver.name.lower() == wanted.lower():
            return driver
    return None


def _registered() -> Iterator[Driver]:
    for section in registered():
        path = section.values.get("driver64") or section.values.get("driver", "")
        kind = kind_of(path)
        if kind:
            yield Driver(section.name, _whole(path), kind, version_of(path), f"registered in {section.path}")


def _whole(name: str) -> str:
    """The path of a library that is registered by its name alone, as Debian's are; the name when it is in no usual place."""
    if "/" in name:
        return name
    found = (file for place in _LIBRARY_PLACES for file in Path("/").glob(f"{place[1:]}/{name}"))
    return str(next(found, name))


def _unregistered() -> Iterator[Driver]:
    path = _packaged()
    if path is not None:
        yield Driver(
            "ODBC Driver 18 for SQL Server",
            str(path),
            MICROSOFT,
            version_of(path.name),
            "the package mssql-python-odbc",
        )
    for kind, name, places in (
        (MICROSOFT, "ODBC Driver for SQL Server", _MICROSOFT_PLACES),
        (FREETDS, "FreeTDS", _FREETDS_PLACES),
    ):
        for place in places:
            for file in sorted(Path("/").glob(place[1:]), reverse=True):
                yield Driver(name, str(file), kind, version_of(file.name), "not registered")


def _packaged() -> Path | None:
    """The library inside the package mssql-python-odbc, for this system."""
    import importlib.util

    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent / "libs"
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        names = [f"macos/{machine}/lib/libmsodbcsql*.dylib"]
    else:
        here = {"aarch64": "arm64"}.get(machine, machine)
        family = _family()
        names = [f"linux/{family}/{name}/lib/libmsodbcsql-*.so.*" for name in (here, machine)]
    return next((path for name in names for path in sorted(root.glob(name))), None)


def _family() -> str:
    """Which of the package's directories is for this Linux."""
    if Path("/etc/alpine-release").exists():
        return "alpine"
    if Path("/etc/SuSE-release").exists() or Path("/etc/SUSE-brand").exists():
        return "suse"
    return "rhel" if Path("/etc/redhat-release").exists() else "debian_ubuntu"


def kind_of(path: str) -> str:
    """`microsoft`, `freetds`, or nothing for a driver of another product."""
    name = path.rpartition("/")[2]
    if name.startswith("libmsodbcsql"):
        return MICROSOFT
    return FREETDS if name.startswith(_FREETDS_FILE) else ""


def version_of(path: str) -> str:
    """What a file's name tells of the version: `18.6.2.1` for libmsodbcsql-18.6.so.2.1; nothing for FreeTDS."""
    match = _MICROSOFT_FILE.search(path.rpartition("/")[2])
    return ".".join(part.strip(".") for part in match.groups() if part) if match else ""


def _rank(driver: Driver) -> tuple[int, int, tuple[int, ...]]:
    numbers = tuple(-int(part) for part in driver.version.split(".") if part.isdigit())
    kinds = {MICROSOFT: 0, FREETDS: 1}
    sources = 0 if driver.source.startswith("registered") else 1
    return kinds.get(driver.kind, 2), sources, numbers


__all__ = ["DriverMissingError", "broken", "choose", "find_all", "kind_of", "version_of"]
