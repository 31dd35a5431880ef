"""Everything about ODBC on this machine in one look: the driver manager, each driver and whether it loads, what is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.databases.odbc.errors import OdbcCrashedError, OdbcTimeoutError
from dbdoctor.databases.odbc.find import broken, find_all
from dbdoctor.databases.odbc.install import (
    WHEEL,
    freetds_line,
    kerberos_line,
    manager_line,
    manager_missing,
    platform_family,
)
from dbdoctor.databases.odbc.process import DriverProcess
from dbdoctor.model.secret import redact
from dbdoctor.targets.odbc_ini import driver_files, pooling, source_files

# Loading a library of 2 MB from a cold disk, and no more.
_PATIENCE = 10.0


class Looked(NamedTuple):
    """A driver, and what stands in the way of using it (empty: nothing), with what to do about that."""

    driver: Driver
    problem: str = ""
    help: str | None = None


class DriverReport(NamedTuple):
    """What was found. `manager` is libodbc's file, or empty, and then `manager_problem` and `manager_help` say why.

    `drivers` are in the order in which they would be taken; `files` are those that were looked for, with whether they
    are there. `pooling` is the file that switches on the driver manager's own pool.
    """

    manager: str
    pyodbc: str
    manager_problem: str
    manager_help: str | None
    drivers: tuple[Looked, ...]
    files: tuple[tuple[str, bool], ...]
    pooling: str | None
    platform: str
    install: tuple[tuple[str, str], ...]

    @property
    def usable(self) -> Driver | None:
        """The driver that would be taken; None when SQL Server cannot be reached from here."""
        if self.manager_problem:
            return None
        return next((looked.driver for looked in self.drivers if not looked.problem), None)


def look() -> DriverReport:
    """Look at everything; drivers are loaded in processes of their own, since one may crash."""
    version, manager, problem, help_ = _manager()
    drivers = [_load(driver, manager=bool(version)) for driver in find_all()]
    drivers += [Looked(gone, "its file is not there", f"install it again, or `{WHEEL}`") for gone in broken()]
    on = pooling()
    return DriverReport(
        manager=manager,
        pyodbc=version,
        manager_problem=problem,
        manager_help=help_,
        drivers=tuple(drivers),
        files=tuple((str(path), path.is_file()) for path in _unique([*driver_files(), *source_files()])),
        pooling=str(on) if on else None,
        platform=platform_family(),
        install=tuple(_missing(problem, help_, drivers)),
    )


def cannot_load(driver: Driver) -> DriverMissingError:
    """For a driver that the driver manager could not load, with what the dynamic loader misses."""
    looked = _load(driver, manager=True)
    return DriverMissingError(
        f"the ODBC driver `{driver.name}` ({driver.source or driver.path}) cannot be loaded",
        cause=redact(looked.problem)[:300] or None,
        help=looked.help or f"install it again, or `{WHEEL}`; `dbdoctor drivers` shows every driver",
    )


def _manager() -> tuple[str, str, str, str | None]:
    """pyodbc's version, libodbc's file; or what is wrong with them, and what to do."""
    process = DriverProcess()
    try:
        answer = process.answer(time.monotonic() + _PATIENCE, _PATIENCE)
        if "missing" in answer:
            error = manager_missing(answer["missing"])
            return "", "", error.what, error.help
        found = process.ask({"load": ""}, _PATIENCE)
        return str(answer["ready"]), str(found["manager"]) or "libodbc.so.2", "", None
    except (OdbcTimeoutError, OdbcCrashedError) as error:
        return "", "", f"pyodbc cannot be loaded: {error}", None
    finally:
        process.end()


def _load(driver: Driver, *, manager: bool) -> Looked:
    """Without a driver manager no driver can be tried: that is said once, of the manager."""
    if not manager:
        return Looked(driver)
    process = DriverProcess()
    try:
        process.answer(time.monotonic() + _PATIENCE, _PATIENCE)
        problem = str(process.ask({"load": driver.path}, _PATIENCE)["problem"])
    except (OdbcTimeoutError, OdbcCrashedError) as error:
        problem = f"loading it failed: {error}"
    finally:
        process.end()
    return Looked(driver, problem, _help_for(problem, driver))


def _help_for(problem: str, driver: Driver) -> str | None:
    """What to install for the library that the dynamic loader misses."""
    missing = re.search(r"(?:\A|/)(lib[\w+-]+)\.[^/:]*: ", problem)
    if missing is None:
        return None
    name = missing[1]
    if name in driver.path.rpartition("/")[2]:
        return f"install it again, or `{WHEEL}`"
    if name.startswith(("libgssapi", "libkrb5", "libk5crypto", "libcom_err")):
        return f"`{kerberos_line()}`"
    if name.startswith(("libodbc", "libltdl")):
        return f"`{manager_line()}`"
    return f"install the package that has {name}.so"


def _missing(problem: str, help_: str | None, drivers: Iterable[Looked]) -> Iterable[tuple[str, str]]:
    """What to install, in order: (what for, the line)."""
    if problem:
        yield (
            "the driver manager",
            (help_ or manager_line()).split("`")[1] if help_ and "`" in help_ else manager_line(),
        )
    usable = [looked.driver.kind for looked in drivers if not looked.problem]
    for looked in drivers:
        if looked.help and "`" in looked.help and not usable:
            yield f"what {looked.driver.name} needs", looked.help.split("`")[1]
    if "microsoft" not in usable:
        yield "Microsoft's driver 18", WHEEL
    if not usable:
        yield "FreeTDS, which does for most", freetds_line()


def _unique(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))
