"""The one session on SQL Server that looks at the trials' sessions from outside, and ends what is left of them."""

from __future__ import annotations

from dbdoctor.databases.sqlserver_text import RefusedError, Row
from dbdoctor.databases.sqlserver_trials import Ours, end_question, look_question, read_look
from dbdoctor.model.target import Target
from dbdoctor.model.trial import Ghost
from dbdoctor.probe.deadline import Deadline
from dbdoctor.trials.observer import beginning, is_another
from dbdoctor.watch.source import SourceLostError, SourceSlowError
from dbdoctor.watch.sqlserver_connection import SqlServerConnection

_PATIENCE = 3.0
_UNABLE = (SourceLostError, SourceSlowError, RefusedError)
# A session that ends by itself between the look and KILL makes the batch fail: then those that are left are ended again.
_ATTEMPTS = 3


class SqlServerObserver:
    """On SQL Server; raises SourceLostError when it cannot log in."""

    def __init__(self, target: Target, login_timeout: float) -> None:
        self.losses = 0
        self._connection = SqlServerConnection(target)
        self._login_timeout = login_timeout
        self._connection.open(Deadline.after(login_timeout))
        try:
            self.facts, self._rights = self._connection.facts(Deadline.after(_PATIENCE))
        except BaseException:
            self._connection.close()
            raise
        self._began = beginning(self.facts)

    def look(self, application_name: str) -> list[Ghost] | None:
        """The sessions of this name that the server has; None without the right to see any but the one that asks."""
        found = self._ours(application_name)
        return None if found is None else [one.ghost for one in found if one.name == application_name]

    def end(self, prefix: str) -> bool:
        """End our own sessions whose name begins so; whether that was done: it takes a right of its own."""
        for _ in range(_ATTEMPTS):
            found = self._ours(prefix)
            if not found:
                return found is not None
            try:
                self._ask(end_question(prefix, found))
            except RefusedError:
                continue
            except _UNABLE:
                return False
            return True
        return False

    def close(self) -> None:
        """Log out."""
        self._connection.close()

    def _ours(self, prefix: str) -> list[Ours] | None:
        if not self._rights.sees_all:
            return None
        try:
            return read_look(self._ask(look_question(prefix)))
        except _UNABLE:
            return None

    def _ask(self, question: str) -> list[Row]:
        """Logs in again when the session was lost. Raises SourceLostError, SourceSlowError, RefusedError."""
        try:
            return self._connection.ask(question, Deadline.after(_PATIENCE))
        except (SourceLostError, SourceSlowError):
            if self._connection.session is not None:
                raise
            self._open_again()
        return self._connection.ask(question, Deadline.after(_PATIENCE))

    def _open_again(self) -> None:
        try:
            self._connection.open(Deadline.after(self._login_timeout))
            self.losses += is_another(self._began, self._connection.facts(Deadline.after(_PATIENCE))[0])
        except _UNABLE:
            self.losses += 1
            raise
