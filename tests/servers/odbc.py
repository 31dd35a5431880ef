"""The ODBC drivers for SQL Server, where the tests find them, and how a process comes to load them.

Nothing is registered on the machine: a driver is named by its path, or by `registry`, a directory that ODBCSYSINI names.
The driver manager (libodbc.so.2) may be the machine's own or the one that tests/run.py put into `.cache`; `environment()`
has a child process find it, `load()` this one. Without `environment()` a child has what the machine has: on most
machines no driver manager at all; `environment_without_manager()` makes sure of that on the others.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from tests.servers.workspace import CACHE, MissingServerError, workspace

MICROSOFT_NAME = "ODBC Driver 18 for SQL Server"
FREETDS_NAME = "FreeTDS"
# What must be there: for unixODBC, pyodbc and Microsoft's driver.
LIBRARIES = ("libltdl.so.7", "libodbcinst.so.2", "libodbc.so.2", "libgssapi_krb5.so.2")
# What these and FreeTDS need in turn, which most machines have.
BELOW = re.compile(
    r"lib(ltdl|odbc|odbcinst|odbccr|gssapi_krb5|krb5|krb5support|k5crypto|com_err|keyutils|gnutls|nettle|hogweed|gmp"
    r"|p11-kit|idn2|unistring|tasn1|ffi)\.so\.\d+"
)
SYSTEM = tuple(Path("/").glob("usr/lib/*-linux-gnu"))


def _look_for(pattern: str) -> Path:
    for root in (*SYSTEM, *CACHE.glob("debian/usr/lib/*-linux-gnu")):
        for found in sorted(root.glob(pattern)):
            return found
    raise MissingServerError(f"{pattern} is not installed: run `python3 tests/run.py` once, it installs it")


@functools.cache
def microsoft() -> Path:
    """Microsoft's ODBC driver 18, as the Python package mssql-python-odbc has it for Debian."""
    spec = importlib.util.find_spec("mssql_python_odbc")
    if spec is None or spec.origin is None:
        raise MissingServerError("the package mssql-python-odbc is not installed: run `python3 tests/run.py` once")
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    libraries = Path(spec.origin).parent / "libs" / "linux" / "debian_ubuntu" / machine / "lib"
    return next(iter(sorted(libraries.glob("libmsodbcsql-18.*.so.*"))))


@functools.cache
def freetds() -> Path:
    """FreeTDS's ODBC driver, as Debian has it."""
    return _look_for("odbc/libtdsodbc.so")


DRIVERS = {"microsoft": microsoft, "freetds": freetds}


def braced(value: object) -> str:
    """A value of a connection string, in braces, as both drivers read it."""
    return "{" + str(value).replace("}", "}}") + "}"


def connection_string(driver: str, port: int, **keywords: object) -> str:
    """An ODBC connection string to 127.0.0.1: `driver` is "microsoft" or "freetds"; `keywords` overrule, None removes.

    By default user `sa` with the tests' password, no encryption, and for FreeTDS protocol version 7.4 (without it,
    it hangs on a silent server).
    """
    from tests.servers.tds import PASSWORD, USER

    own: dict[str, object] = {"Driver": braced(DRIVERS[driver]()), "UID": USER, "PWD": braced(PASSWORD)}
    if driver == "microsoft":
        own |= {"Server": f"127.0.0.1,{port}", "Encrypt": "no"}
    else:
        own |= {"Server": "127.0.0.1", "Port": port, "TDS_Version": "7.4", "Encryption": "off"}
    return "".join(f"{name}={value};" for name, value in {**own, **keywords}.items() if value is not None)


@functools.cache
def library_directory() -> Path:
    """A directory of links to those libraries that the machine does not have itself, and to no others."""
    for name in LIBRARIES:
        _look_for(name)
    place = workspace().directory("libraries", mode=0o755)
    for cached in CACHE.glob("debian/usr/lib/*-linux-gnu/lib*.so.*"):
        if BELOW.fullmatch(cached.name) and not any((root / cached.name).exists() for root in SYSTEM):
            (place / cached.name).symlink_to(cached)
    return place


def registry(drivers: Mapping[str, Path] | None = None, *, ini: str = "") -> Path:
    """A new directory for ODBCSYSINI with `drivers` (name to path) registered, and `ini` as more of its odbcinst.ini."""
    place = workspace().directory("odbc", mode=0o755)
    sections = [f"[{name}]\nDriver={path}\n" for name, path in (drivers or {}).items()]
    workspace().write(place / "odbcinst.ini", "\n".join([*sections, ini]), mode=0o644)
    workspace().write(place / "odbc.ini", "", mode=0o644)
    return place


@functools.cache
def _empty_registry() -> Path:
    return registry()


def environment(registered: Path | None = None) -> dict[str, str]:
    """For a child process: the driver manager is found, and the drivers of `registered` (see `registry`), else none."""
    place = str(registered or _empty_registry())
    return {"LD_LIBRARY_PATH": str(library_directory()), "ODBCSYSINI": place, "ODBCINI": f"{place}/odbc.ini"}


def environment_without_manager() -> dict[str, str]:
    """For a child process: no driver manager is to be had, whatever the machine has."""
    if not any((root / "libodbc.so.2").exists() for root in SYSTEM):
        return {}
    place = workspace().directory("broken", mode=0o755)
    workspace().write(place / "libodbc.so.2", b"", mode=0o644)
    return {"LD_LIBRARY_PATH": str(place)}


@functools.cache
def load() -> None:
    """Loads the driver manager into this process, so that `import pyodbc` and the drivers find it.

    The dynamic loader takes what is loaded already by its name, wherever it came from.
    """
    left = sorted(library_directory().iterdir())
    while left:
        failed = [path for path in left if not _loads(path)]
        assert len(failed) < len(left), f"cannot load {failed}"
        left = failed


def _loads(library: Path) -> bool:
    """Loads it; False while something that it needs is not loaded."""
    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False
    return True
