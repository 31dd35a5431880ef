"""Snapshots of SQL Server's sessions, by one session of our own that only reads the management views.

A look is one question. Views that are not there, or that we may not see, are left out of it from then on, and named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dbdoctor.databases import sqlserver_details as details
from dbdoctor.databases import sqlserver_sessions as sessions
from dbdoctor.databases.sqlserver_facts import OTHERS
from dbdoctor.databases.sqlserver_rights import Rights, is_absence
from dbdoctor.databases.sqlserver_session_rows import Clock, SessionReader
from dbdoctor.databases.sqlserver_text import RefusedError, Row, one_line
from dbdoctor.errors import CannotLookError
from dbdoctor.model.server import Missing, ServerFacts, Slots
from dbdoctor.model.session import Detail, Identity
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Target
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Termination, Wanted
from dbdoctor.watch.sqlserver_connection import SqlServerConnection

if TYPE_CHECKING:
    from dbdoctor.watch.own_connection import OwnConnection

_NEEDED = "`leaks` needs the view sys.dm_exec_sessions; `dbdoctor check` tells what can be seen of this server"
# A question that loses a view or a column each time it is refused comes to an end.
_MOST_TRIES = 20
_NO_ROWS = "SELECT 1 AS there WHERE 1 = 0"


class SqlServerSource:
    """A SessionSource for SQL Server 2012 and later, Azure SQL, and relatives that have `sys.dm_exec_sessions`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection = SqlServerConnection(target)
        self._facts: ServerFacts | None = None
        self._rights: Rights | None = None
        self._reader = SessionReader()
        self._parts = sessions.Parts()
        self._clock: Clock | None = None
        # What the server refused, and why: it is not asked again, so that its log is not filled.
        self._refused: dict[str, RefusedError] = {}
        # Why no session can be seen at all: a relative that does not have the view.
        self._blind: RefusedError | None = None

    def open(self, seconds: float) -> ServerFacts:
        """Log in, anew if need be. Raises SourceLostError, and CannotLookError for what refuses to show its sessions.

        Where there is no view of sessions at all, the looks find none, and say why.
        """
        deadline = Deadline.after(seconds)
        self._refused, self._blind = {}, None
        self._connection.open(deadline)
        try:
            self._facts, self._rights = self._connection.facts(deadline)
            self._parts = sessions.Parts(own_database=self._rights.edition.is_database)
            self._rows(deadline)  # so that what is missing is known from the start
        except SourceSlowError as error:
            self.close()
            raise SourceLostError(f"logged in, but {error}") from None
        except RefusedError as error:
            self.close()
            raise SourceLostError(str(error)) from None
        if self._blind:
            others = (one for one in self._facts.missing if one.what != OTHERS)
            self._facts = replace(self._facts, restricted=True, missing=(*self._missing(), *others))
        return self._facts

    def look(self, seconds: float, *, thorough: bool = False) -> Snapshot:  # noqa: ARG002 - nothing is asked less often
        """All sessions but our own."""
        started, deadline = time.monotonic(), Deadline.after(seconds)
        rows = self._rows(deadline)
        skew = (self._facts and self._facts.clock_skew) or 0.0
        seen = sessions.TRANSACTIONS in self._parts.views
        self._clock, found = self._reader.read(rows, self.own, time.time() + skew, sees_transactions=seen)
        return Snapshot(
            at=self._clock.now,
            sessions=tuple(found),
            slots=self._slots(len(found)),
            missing=self._missing(),
            took=time.monotonic() - started,
        )

    def explain(self, snapshot: Snapshot, wanted: Wanted, seconds: float) -> Snapshot:
        """Details of at most 200 of the sessions wanted, and who waits; what changed meanwhile is left out.

        A session whose open transaction turns out to be its driver's own is idle.
        """
        started, deadline = time.monotonic(), Deadline.after(seconds)
        ids = tuple(one for one in dict.fromkeys(wanted.details) if one in self._reader.known)
        found, of_drivers = self._details(ids[: details.MOST_DETAILS], deadline) if ids else ({}, set())
        own = {one: session for one in of_drivers if (session := self._reader.drivers_own(one))}
        listed = tuple(own.get(one.id, one) for one in snapshot.sessions) if own else snapshot.sessions
        return snapshot._replace(
            sessions=listed,
            details={**snapshot.details, **found},
            waiters=self._reader.waiters if wanted.blocking else snapshot.waiters,
            missing=tuple(dict.fromkeys((*snapshot.missing, *self._missing()))),
            took=snapshot.took + time.monotonic() - started,
        )

    def terminate(self, identities: Sequence[Identity], seconds: float) -> list[Termination]:
        """End these sessions of clients, each by a batch that checks who it is; wait until they are gone."""
        from dbdoctor.watch.sqlserver_ending import SqlServerEnding

        logins = {number: known.row[1] for number, known in self._reader.known.items()}
        offset = self._clock.offset / 1000 if self._clock else 0.0
        ending = SqlServerEnding(self._connection, self._rights, logins, offset, self._parts)
        return ending.end(identities, Deadline.after(seconds))

    def superusers(self, seconds: float) -> frozenset[str]:  # noqa: ARG002 - a question on other products
        """None is spared for what it may do: applications log in as `sa` here."""
        return frozenset()

    def close(self) -> None:
        """Log out; never raises."""
        self._connection.close()

    @property
    def own(self) -> int | None:
        """The id of our own session, while there is one."""
        if self._connection.session is None or self._facts is None:
            return None
        own: int | None = self._facts.extra.get("own_session")
        return own

    @property
    def own_connection(self) -> OwnConnection | None:
        """Our socket belongs to the driver's process, so nothing can be proven with it; clients say their process here."""
        return None

    # Looking

    def _rows(self, deadline: Deadline) -> list[Row]:
        if self._blind:
            return self._connection.ask(_NO_ROWS, deadline)  # so that a lost connection is noticed
        for _ in range(_MOST_TRIES):
            try:
                return self._connection.ask(sessions.look_question(self._parts), deadline)
            except RefusedError as error:
                narrower = self._narrower(error, deadline)
                if narrower is None and is_absence(error) and "dm_exec_sessions" in str(error).lower():
                    self._blind = error
                    return []
                if narrower is None:
                    raise self._no_sessions(error) from None
                self._parts = narrower
        raise self._no_sessions(RefusedError("every form of the question was refused", None))

    def _narrower(self, error: RefusedError, deadline: Deadline) -> sessions.Parts | None:
        """What can still be asked after this error: without what it names, what is denied, or the hints to the server."""
        parts = sessions.without(error, self._parts)
        if parts is None:
            parts = self._parts
            for part, question in sessions.probes(self._parts):
                if part in parts.views and (denied := self._denied(question, deadline)):
                    parts = parts._replace(views=tuple(one for one in parts.views if one != part))
                    self._refused[sessions.WHAT[part]] = denied
        for part in set(self._parts.views) - set(parts.views):
            self._refused.setdefault(sessions.WHAT[part], error)
        for column in parts.absent - self._parts.absent:
            self._refused[f"sys.dm_exec_sessions.{column}"] = error
        if parts != self._parts:
            return parts
        return parts._replace(hash=False) if parts.hash else None

    def _denied(self, question: str, deadline: Deadline) -> RefusedError | None:
        try:
            self._connection.ask(question, deadline)
        except RefusedError as error:
            return error
        return None

    def _no_sessions(self, error: RefusedError) -> CannotLookError:
        self.close()
        name = f"{self._facts.product} {self._facts.version}" if self._facts else "this server"
        return CannotLookError(
            f"{name} does not show its sessions as SQL Server does",
            cause=str(error),
            help=_NEEDED,
        )

    def _slots(self, others: int) -> Slots | None:
        known = self._facts.slots if self._facts else None
        return known and Slots(known.limit, known.reserved, 1 + others)

    # Explaining

    def _details(self, ids: Sequence[int], deadline: Deadline) -> tuple[dict[int, Detail], set[int]]:
        """What is told of these sessions, and which of them have run nothing but what their driver asks."""
        known = self._reader.known
        answer: list[Row] = []
        if sessions.CONNECTIONS in self._parts.views:
            answer = self._try("last statements", details.statements_question(ids), deadline)
        found = details.read_details(answer, known)
        unread = [one for one in ids if one not in found or found[one].statement is None]
        if unread:
            buffers = self._try("input buffers", details.buffers_question(unread), deadline)
            found = details.merged(found, details.read_details(buffers, known))
        writers = [one for one in ids if known[one].session.writes]
        if writers:
            used = self._try("the use of the log", details.log_question(writers), deadline)
            found = details.merged(found, details.read_details(used, known))
        return found, details.drivers_own(answer, found)

    def _try(self, what: str, question: str, deadline: Deadline) -> list[Row]:
        """The answer; nothing when the server refuses it, now or before."""
        if what in self._refused:
            return []
        try:
            return self._connection.ask(question, deadline)
        except RefusedError as error:
            self._refused[what] = error
            return []

    # What could not be seen

    def _missing(self) -> tuple[Missing, ...]:
        rights = self._rights
        if rights is None:
            return ()
        if self._blind:
            words = one_line(str(self._blind), 100)
            return (Missing(OTHERS, f"this server does not show its sessions ({words})", _NEEDED),)
        found = [rights.missing(what, error) for what, error in self._refused.items()]
        if not rights.sees_all:
            # One right is missing; that it is missing for each view, too, says nothing more.
            found = [Missing(OTHERS, *rights.why()), *(one for one in found if not rights.is_denial(one))]
        return tuple(found)
