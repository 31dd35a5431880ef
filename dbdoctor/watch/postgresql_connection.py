"""The one connection to a PostgreSQL server from which snapshots are taken: opened, asked within a deadline, and lost.

Whatever the driver raises becomes one of three things: the server is gone (SourceLostError), it was too slow
(SourceSlowError), or it will not answer this question (RefusedError); each with one clean line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbdoctor.databases import postgresql as product
from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_text import first_line, message
from dbdoctor.model.duration import format_duration
from dbdoctor.model.secret import redact
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address, needs_resolver, resolve_all
from dbdoctor.watch.source import SourceLostError, SourceSlowError

if TYPE_CHECKING:
    from dbdoctor.model.finding import Finding
    from dbdoctor.model.stage import Failure

# Timeouts of the statement and of a lock: the server gave up by itself, and the connection is as good as before.
_SLOW = frozenset({"57014", "55P03"})
# Endings of the session: by an operator, a crash, a shutdown, the server's own timeouts.
_ENDINGS = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "53300"})


class RefusedError(Exception):
    """The server answered with an error that will be the same next time; the message is its first line."""

    def __init__(self, words: str, sqlstate: str) -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


class PostgresqlConnection:
    """A session of ours, or none. Every question is one message and one round trip."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: login.LoggedIn | None = None
        self._why_not = "not connected"

    def open(self, deadline: Deadline) -> None:
        """Log in, anew if need be. Raises SourceLostError."""
        self.close()
        addresses = self._reach(deadline)
        try:
            self._session = login.log_in(self.target, addresses, deadline)
        except DeadlinePassedError:
            from dbdoctor.model.stage import Failure, StageName

            code = Failure("login-stalled", StageName.LOGIN, values={"seconds": format_duration(deadline.seconds)})
            raise SourceLostError(redact(self._find(code, addresses[0]).title)) from None
        except login.LoginFailedError as error:
            from dbdoctor.probe.refusal import name_refusal

            failure, said = name_refusal(str(error), self.target)
            finding = self._find(failure, addresses[0])
            words = finding.title if said else first_line(str(error))
            if failure.code == "login-refused" and failure.cause:
                words = f"{words}: {first_line(failure.cause)}"
            raise SourceLostError(redact(words), finding if said else None) from None

    def facts(self, deadline: Deadline) -> ServerFacts:
        """What the server says of itself, or only its version where it does not understand the question.

        But for the number of its sessions: the looks tell that.
        """
        session = self._open_session()
        sent = time.time()
        try:
            row = self._first(lambda seconds: product.facts_query(seconds, count_sessions=False), deadline)
        except RefusedError:
            sent = time.time()
            row = self._first(lambda _seconds: product.FALLBACK_QUERY, deadline)
        try:
            return product.read_facts(
                row[0] if row else b"",
                sent_at=sent,
                received_at=time.time(),
                backend_pid=session.backend_pid,
                tls=session.tls,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._lost("the server's answer is not what PostgreSQL gives") from None

    def ask(self, question: str, deadline: Deadline) -> list[Row]:
        """All rows of the answer. Raises SourceLostError, SourceSlowError or RefusedError."""
        return self._send(message(question, _statement_timeout(deadline)), deadline)

    @property
    def session(self) -> login.LoggedIn | None:
        """Our session, while there is one."""
        return self._session

    def close(self) -> None:
        """Log out; never raises."""
        session, self._session = self._session, None
        if session is not None:
            login.log_out(session)

    # Inside

    def _send(self, text: str, deadline: Deadline) -> list[Row]:
        session = self._open_session()
        try:
            return login.run_rows(session, text, deadline)
        except DeadlinePassedError:
            waited = f"no answer within {format_duration(deadline.seconds)}"
            self._lost(f"{waited}; the connection was closed")
            raise SourceSlowError(waited) from None
        except login.QueryFailedError as error:
            words = redact(first_line(str(error)))
            state = error.sqlstate
            if state in _SLOW and not session.connection.closed:
                raise SourceSlowError(words) from None
            if state is None or state in _ENDINGS or state.startswith("08") or session.connection.closed:
                raise self._lost(words or "the server closed the connection") from None
            raise RefusedError(words, state) from None

    def _first(self, text: Callable[[float], str], deadline: Deadline) -> Row | None:
        rows = self._send(text(_statement_timeout(deadline)), deadline)
        return rows[0] if rows else None

    def _open_session(self) -> login.LoggedIn:
        if self._session is None:
            raise SourceLostError(self._why_not)
        return self._session

    def _lost(self, why: str) -> SourceLostError:
        self.close()
        self._why_not = why
        return SourceLostError(why)

    def _reach(self, deadline: Deadline) -> list[Address]:
        """Where to log in. With one address there is nothing to choose, and the login itself is the first connection."""
        if len(self.target.endpoints) == 1 and not needs_resolver(self.target.endpoints[0]):
            addresses = resolve_all(self.target.endpoints, deadline)[0].addresses
            if addresses:
                return list(addresses)
        from dbdoctor.probe.events import StageLog
        from dbdoctor.probe.reach import reach

        reached = reach(self.target, deadline, StageLog(lambda _event: None))
        for attempt in reached.attempts:
            if attempt.socket:
                attempt.socket.close()
        if not reached.attempts:
            raise SourceLostError(redact(self._find(reached.failures[0], None).title))
        return [attempt.address for attempt in reached.attempts]

    def _find(self, failure: Failure, address: Address | None) -> Finding:
        from dataclasses import replace

        from dbdoctor.probe.failures import find
        from dbdoctor.probe.reach import values_of

        values = {"user": self.target.user, "database": self.target.database}
        where = values_of(address) if address else {}
        return find(replace(failure, values={**values, **where, **failure.values}))


def _statement_timeout(deadline: Deadline) -> float:
    """Room for the server's own timeout to reach us before ours."""
    return max(0.02, deadline.remaining * 0.9 - 0.05)
