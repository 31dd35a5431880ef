"""What an ODBC driver is here, and what is said when there is none."""

from __future__ import annotations

from typing import NamedTuple

from dbdoctor.errors import CannotLookError

MICROSOFT = "microsoft"
FREETDS = "freetds"


class Driver(NamedTuple):
    """An ODBC driver of SQL Server. `kind` is "microsoft" or "freetds"; `version` is empty until it is known.

    `source` says where it was found ("registered in /etc/odbcinst.ini", "the package mssql-python-odbc").
    """

    name: str
    path: str
    kind: str
    version: str = ""
    source: str = ""


class DriverMissingError(CannotLookError):
    """No ODBC driver of SQL Server can be used: `what` says what is missing, `help` has the install line."""

    code = "driver-missing"


class DriverUnableError(DriverMissingError):
    """The driver is there and cannot do what the target asks for; `help` names another."""

    code = "driver-unable"
