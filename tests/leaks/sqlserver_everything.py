"""All the programs on SQL Server by name, and how they come to run, each as a process of its own.

`python -m tests.leaks.sqlserver_everything NAME...` imports once, forks once for each, and ends with them at the end of
its stdin.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from tests.leaks import sqlserver_healthy, sqlserver_leaking
from tests.leaks.sqlserver_host import PROGRAMS, SqlServerHost

__all__ = ["MODULES", "PROGRAMS"]

MODULES = (sqlserver_leaking, sqlserver_healthy)
PR_SET_PDEATHSIG = 1


def _fork(name: str) -> None:
    parent = os.getpid()
    if os.fork():
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        host = SqlServerHost(name)
        PROGRAMS[name].run(host)
        # Whatever a program keeps, it keeps until it is told to end.
        host.rest()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(1)


def main(names: list[str]) -> None:
    """Runs them until one has ended."""
    # So that not every one of them has to.
    import pyodbc  # noqa: F401
    import sqlalchemy.dialects.mssql.pyodbc  # noqa: F401

    for name in names:
        _fork(name)
    os.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
