"""A session on SQL Server through ODBC, in a process of its own that can be killed: no driver outlasts its deadline.

Ours are alike with both drivers: autocommit, no MARS, no reconnecting by the driver, no pooling by the driver manager.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from typing import Any

from dbdoctor.databases.odbc.connection_string import connection_string
from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.databases.odbc.errors import OdbcCrashedError, OdbcError, OdbcTimeoutError, Record
from dbdoctor.databases.odbc.find import choose, find_all
from dbdoctor.databases.odbc.install import manager_missing
from dbdoctor.databases.odbc.process import DriverProcess
from dbdoctor.databases.odbc.report import cannot_load
from dbdoctor.model.target import Endpoint, Target

__all__ = [
    "DriverMissingError",
    "OdbcCrashedError",
    "OdbcError",
    "OdbcSession",
    "OdbcTimeoutError",
    "Record",
]

# What the driver manager says when it cannot load a driver's file, or the driver a library of its own.
_CANNOT_LOAD = re.compile(r"Can't open lib|could not be loaded|Driver's SQLAllocHandle on SQL_HANDLE_HENV failed")
# A driver's own word at the deadline is worth waiting for so long, in seconds.
_GRACE = 0.15
# The child's start: an interpreter and two imports.
_START = 10.0


class OdbcSession:
    """One connection of pyodbc, in a child that is started here and warms up while others look at the network.

    `driver` is found when not given; raises DriverMissingError when there is none. `endpoint` overrules the target's
    first one, when the port was told by the browser. `login_seconds` and `local_address` are there after `open`.
    """

    def __init__(
        self,
        target: Target,
        *,
        driver: Driver | None = None,
        application: str = "dbdoctor",
        endpoint: Endpoint | None = None,
    ) -> None:
        self.target = target
        self._given = driver is not None
        self.driver = driver or choose(target)
        self.application = application
        self.endpoint = endpoint
        self.login_seconds = 0.0
        self.local_address: tuple[str, int] | None = None
        self._process: DriverProcess | None = DriverProcess()
        self._prepared = False

    @property
    def pid(self) -> int | None:
        """The child's process id, which the server is told; None after the end."""
        return self._process.pid if self._process else None

    def prepare(self, seconds: float = _START) -> None:
        """Wait until the child can take orders. Raises DriverMissingError when it cannot load the driver manager."""
        if self._prepared or self._process is None:
            return
        with self._closing_on_error():
            answer = self._process.answer(time.monotonic() + seconds, seconds)
            if "missing" in answer:
                raise manager_missing(answer["missing"])
        self._prepared = True

    def open(self, seconds: float, endpoint: Endpoint | None = None) -> None:
        """Log in. Raises OdbcError, OdbcTimeoutError, OdbcCrashedError, DriverMissingError; no process is left then."""
        end = time.monotonic() + seconds
        self.prepare(seconds)
        with self._closing_on_error():
            told = self._log_in(end, endpoint or self.endpoint)
        self.driver = self.driver._replace(version=self.driver.version or told["version"])
        self.local_address = (str(told["local"][0]), int(told["local"][1])) if told["local"] else None

    def _log_in(self, end: float, endpoint: Endpoint | None) -> dict[str, Any]:
        """What the child tells of the session. A driver of our own choice that does not load gives way to the next."""
        others = [] if self._given else [driver for driver in find_all() if driver.path != self.driver.path]
        while True:
            text = connection_string(self.target, self.driver, endpoint, self.application)
            begun = time.monotonic()
            left = max(0.0, end - begun)
            try:
                told: dict[str, Any] = self._ask({"open": text, "timeout": max(1, math.ceil(left))}, left)["opened"]
            except OdbcError as error:
                if not _CANNOT_LOAD.search(error.message):
                    raise
                if not others:
                    raise cannot_load(self.driver) from None
                self.driver = others.pop(0)
            else:
                self.login_seconds = time.monotonic() - begun
                return told

    def query(self, sql: str, seconds: float) -> list[list[Any]]:
        """The rows of the last result set, in plain values: numbers, text, None, bool; times as ISO text.

        The driver's own timeout is set below `seconds`; when that ends the query, OdbcError has HYT00 and the session
        goes on. Raises OdbcError, OdbcTimeoutError (the child was killed), OdbcCrashedError.
        """
        answer = self._ask({"query": sql, "timeout": max(1, math.ceil(seconds) - 1)}, seconds)
        rows: list[list[Any]] = answer["rows"]
        return rows

    def close(self) -> None:
        """End the session and its process; never raises."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _ask(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._process is None:
            raise OdbcError("08003", "[08003] Connection not open (0)")
        begun = time.monotonic()
        try:
            answer = self._process.ask(order, seconds + _GRACE)
        except (OdbcTimeoutError, OdbcCrashedError) as error:
            self._process = None
            raise OdbcTimeoutError(seconds) if isinstance(error, OdbcTimeoutError) else error from None
        if "error" not in answer:
            return answer
        said = OdbcError(answer["error"][0], answer["error"][-1])
        if "open" in order and said.sqlstate == "HYT00" and time.monotonic() - begun >= seconds - _GRACE:
            raise OdbcTimeoutError(seconds, said.records)
        raise said

    @contextlib.contextmanager
    def _closing_on_error(self) -> Any:
        try:
            yield
        except BaseException:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
            raise

    def __enter__(self) -> OdbcSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
