"""What an application's process does first when its database is SQL Server: the driver, its words, its keepalives."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dbdoctor.databases.odbc.connection_string import write_keywords
from dbdoctor.databases.odbc.driver import FREETDS
from dbdoctor.databases.odbc.install import manager_missing
from dbdoctor.trials.orders import StageOrder, TrialOrder

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A driver takes part in the driver manager's pooling under a registered name only (unixODBC: measured).
_REGISTERED = "dbdoctor trial"
_REGISTRY = """\
[ODBC]
Pooling=Yes
[{name}]
Driver={path}
CPTimeout=600
"""
_KEEPALIVE = ("KeepAlive", "KeepAliveInterval")


def for_sqlserver(whole: StageOrder, order: TrialOrder, port: int) -> dict[str, Any]:
    """`odbc_connect` for SQLAlchemy's URL, through the relay, and what else pyodbc's `connect` is given.

    Loads the driver manager; raises DriverMissingError where that is not there.
    """
    kind = str(whole.connect["kind"])
    keywords = {**whole.connect["keywords"], **_place(kind, port), **_of_the_pool(kind, order.pool.connect_args)}
    keywords["APP"] = whole.application_name(order.number)
    if order.pool.driver_manager_pooling:
        _register(keywords["Driver"])
        keywords["Driver"] = _REGISTERED
    _load()
    found: dict[str, Any] = {"odbc_connect": write_keywords(keywords, kind)}
    if whole.connect.get("login_timeout"):
        found["timeout"] = whole.connect["login_timeout"]
    return found


def keep_alive(engine: Engine, whole: StageOrder, order: TrialOrder, port: int) -> None:
    """FreeTDS has its keepalives built in (40 s, 2 s: `ss -o`), so what they are in the trial is told to the kernel."""
    told = [order.pool.connect_args.get(name) for name in _KEEPALIVE]
    if whole.connect["kind"] != FREETDS or told[0] is None:
        return
    from sqlalchemy import event

    idle, interval = int(told[0]), int(told[1] or 1)

    def set_it(_connection: object, _record: object) -> None:
        for end in _sockets_to(port):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)

    event.listen(engine, "connect", set_it)


def _place(kind: str, port: int) -> dict[str, str]:
    if kind == FREETDS:
        return {"Server": "127.0.0.1", "Port": str(port)}
    return {"Server": f"tcp:127.0.0.1,{port}"}


def _of_the_pool(kind: str, arguments: Mapping[str, str | int]) -> dict[str, str]:
    return {name: str(value) for name, value in arguments.items() if kind != FREETDS or name not in _KEEPALIVE}


def _register(driver: str) -> None:
    """A registry for this process alone, in memory: it ends with the process, however that ends."""
    text = _REGISTRY.format(name=_REGISTERED, path=driver).encode()
    file = os.memfd_create("odbcinst.ini", 0)
    os.write(file, text)
    os.environ["ODBCSYSINI"] = "/proc/self/fd"
    os.environ["ODBCINSTINI"] = str(file)


def _load() -> None:
    try:
        import pyodbc  # noqa: F401
    except ImportError as error:
        raise manager_missing(str(error)) from None


def _sockets_to(port: int) -> Iterator[socket.socket]:
    """The connections of this process to that port of loopback; each stays open."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (pathlib would give the path of each, to be taken apart)
        try:
            end = socket.socket(fileno=int(name))
        except OSError:
            continue
        try:
            with contextlib.suppress(OSError):
                if end.family == socket.AF_INET and end.getpeername()[1] == port:
                    yield end
        finally:
            end.detach()
