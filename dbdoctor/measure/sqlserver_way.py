"""To a SQL Server, in our own words of TDS: a driver keeps its socket to itself, and probes it each 30 s by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbdoctor.errors import CannotLookError
from dbdoctor.measure.link import Link
from dbdoctor.model.session import Identity
from dbdoctor.model.target import Target
from dbdoctor.probe.deadline import Deadline

if TYPE_CHECKING:
    from dbdoctor.databases.odbc.driver import Driver

# SQL Server probes its clients after 30 s, then 5 times a second (blogs.msdn.com, sql_protocols, 2006-03-08).
_KEPT = 35.0


class SqlServerWay:
    """To a SQL Server, or the Azure gateway before it. Raises CannotLookError for a login that only a driver can do."""

    def __init__(self, target: Target, login_timeout: float) -> None:
        from dbdoctor.probe.events import StageLog
        from dbdoctor.probe.sqlserver_reach import reach_sqlserver
        from dbdoctor.probe.tds.encryption import plan_encryption
        from dbdoctor.probe.tds.login import can_log_in

        if not can_log_in(target):
            raise CannotLookError(
                "measure-timeout logs in to SQL Server with a name and a password only",
                help="give it a target with a SQL Server login; the path is the same for everybody",
            )
        reached = reach_sqlserver(target, Deadline.after(login_timeout), StageLog(lambda _event: None))
        for attempt in reached.attempts:
            if attempt.socket:
                attempt.socket.close()
        if not reached.attempts:
            raise CannotLookError(f"{target.shown} cannot be reached any more", help="run `dbdoctor check` on it")
        self._target = target
        self._address = reached.attempts[0].address
        self._plan = plan_encryption(target, _driver(target), self._address.endpoint.host or self._address.ip)
        self._login_timeout = login_timeout

    @property
    def is_local(self) -> bool:
        """Never: SQL Server is spoken to over TCP."""
        return False

    def link(self, number: int) -> Link:
        """A connection that is not open yet."""
        from dbdoctor.measure.sqlserver_link import SqlServerLink

        return SqlServerLink(number, self._target, self._address, self._plan, self._login_timeout)

    def sweep(self, sessions: Sequence[Identity], seconds: float) -> tuple[int, int] | None:
        """Nothing: the server itself ends what nobody is behind, within a minute."""
        del sessions, seconds
        return None

    def kept_seconds(self) -> float | None:
        """SQL Server's own keepalive."""
        return _KEPT


def _driver(target: Target) -> Driver | None:
    from dbdoctor.databases.odbc.driver import DriverMissingError
    from dbdoctor.databases.odbc.find import choose

    try:
        return choose(target)
    except DriverMissingError:
        return None
