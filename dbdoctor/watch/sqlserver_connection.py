"""The one session on SQL Server from which snapshots are taken: opened, asked within a deadline, and lost.

Whatever the driver raises becomes one of three things: the server is gone (SourceLostError), it was too slow
(SourceSlowError), or it will not answer this question (RefusedError); each with one clean line.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dbdoctor.databases import sqlserver as product
from dbdoctor.databases.odbc.errors import OdbcCrashedError, OdbcError, OdbcTimeoutError
from dbdoctor.databases.odbc.session import OdbcSession
from dbdoctor.databases.sqlserver_facts import read_facts, rights_of
from dbdoctor.databases.sqlserver_rights import Rights
from dbdoctor.databases.sqlserver_text import SLOW, RefusedError, Row, first_line, is_refusal
from dbdoctor.model.duration import format_duration
from dbdoctor.model.secret import redact
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.source import SourceLostError, SourceSlowError

if TYPE_CHECKING:
    from dbdoctor.model.finding import Finding

# The driver's query timeout counts in whole seconds; within it the connection survives a slow answer.
_SHORTEST = 0.05


class SqlServerConnection:
    """A session of ours, or none."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: OdbcSession | None = None
        self._why_not = "not connected"

    def open(self, deadline: Deadline) -> None:
        """Log in, anew if need be. Raises SourceLostError, and CannotLookError where there is no driver."""
        self.close()
        session = OdbcSession(self.target, endpoint=self._reach(deadline))
        try:
            session.open(deadline.remaining)
        except OdbcTimeoutError:
            raise SourceLostError(f"the login took longer than {format_duration(deadline.seconds)}") from None
        except OdbcError as error:
            raise SourceLostError(_words(error), self._refusal(error, session)) from None
        except OdbcCrashedError as error:
            raise SourceLostError(str(error)) from None
        self._session = session
        try:
            self.ask(product.SETTLE, deadline)
        except RefusedError:
            pass  # a relative that knows no such settings
        except SourceSlowError as error:
            self.close()
            raise SourceLostError(f"logged in, but {error}") from None

    def _reach(self, deadline: Deadline) -> Endpoint | None:
        """The endpoint with its port. Microsoft's driver would use up its whole timeout over a port that is closed."""
        from dbdoctor.probe.events import StageLog
        from dbdoctor.probe.failures import find
        from dbdoctor.probe.sqlserver_reach import reach_sqlserver

        reached = reach_sqlserver(self.target, deadline, StageLog(lambda _event: None))
        for attempt in reached.attempts:
            if attempt.socket:
                attempt.socket.close()
        if not reached.attempts and reached.failures:
            raise SourceLostError(redact(find(reached.failures[0], product=self.target.product).title))
        return reached.endpoint

    def _refusal(self, error: OdbcError, session: OdbcSession) -> Finding | None:
        """What the server said, if it was the server; its driver's own words tell less than a look at the wire."""
        from dataclasses import replace

        from dbdoctor.probe.failures import find
        from dbdoctor.probe.sqlserver_refusal import is_words_of_the_way, name_refusal, said_by

        failure = name_refusal(said_by(error), driver=session.driver)
        if failure.code == "driver-missing" or is_words_of_the_way(failure):
            return None
        where = self.target.endpoints[0].shown if self.target.endpoints else None
        values = {"user": self.target.user, "database": self.target.database or "master", "where": where}
        return find(replace(failure, values={**values, **failure.values}), product=self.target.product)

    def facts(self, deadline: Deadline) -> tuple[ServerFacts, Rights]:
        """What the server says of itself, but for the number of its sessions (the looks tell that), and what we may see."""
        answers = product.gather(lambda question: self.ask(question, deadline), clock=time.time, count_sessions=False)
        return read_facts(answers), rights_of(answers)

    def ask(self, question: str, deadline: Deadline) -> list[Row]:
        """All rows of the last answer. Raises SourceLostError, SourceSlowError or RefusedError."""
        session = self._session
        if session is None:
            raise SourceLostError(self._why_not)
        try:
            return session.query(question, max(_SHORTEST, deadline.remaining))
        except OdbcTimeoutError:
            waited = f"no answer within {format_duration(deadline.seconds)}"
            self._lost(f"{waited}; the connection was closed")
            raise SourceSlowError(waited) from None
        except OdbcCrashedError as error:
            raise self._lost(str(error)) from None
        except OdbcError as error:
            words = _words(error)
            if error.native in SLOW or error.sqlstate.startswith("HYT"):
                raise SourceSlowError(words) from None
            if is_refusal(error.native, error.sqlstate):
                raise RefusedError(words, error.native) from None
            raise self._lost(words or "the server closed the connection") from None

    @property
    def session(self) -> OdbcSession | None:
        """Our session, while there is one."""
        return self._session

    def close(self) -> None:
        """Log out; never raises."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _lost(self, why: str) -> SourceLostError:
        self.close()
        self._why_not = why
        return SourceLostError(why)


def _words(error: OdbcError) -> str:
    return redact(first_line(error.message))
