"""Snapshots of a PostgreSQL server's sessions, by one read-only session of our own.

A look is one light question; names, hidden sessions and what stands beside sessions are asked for only when there is
something to ask. Works through PgBouncer in transaction mode: every question is one message that leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.databases import postgresql_beside as beside
from dbdoctor.databases import postgresql_details as details
from dbdoctor.databases import postgresql_sessions as sessions
from dbdoctor.databases.postgresql_beside import Beside
from dbdoctor.databases.postgresql_session_rows import Counts, SessionReader, add_hidden, count, own_row
from dbdoctor.databases.postgresql_text import decode
from dbdoctor.errors import CannotLookError
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.server import Missing, ServerFacts, Slots
from dbdoctor.model.session import Detail, Identity, Session, Waiter
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Target
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.postgresql_connection import PostgresqlConnection, RefusedError
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Termination, Wanted

if TYPE_CHECKING:
    from dbdoctor.watch.own_connection import OwnConnection


# A session that changes notes the time first, and shows it a moment later: longer than that, however busy the server is.
_MARGIN = 5.0
# So far the server's clock and ours may drift apart between two looks; beyond, one of them was set, or slept.
_DRIFT = 1.0


class _Seen(NamedTuple):
    """The last look: when it surely had not begun yet, and when it was done, by the server's clock and by ours."""

    since: float
    at: float
    ours: float


class PostgresqlSource:
    """A SessionSource for PostgreSQL 13 to 18 and the relatives that have its `pg_stat_get_activity`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection = PostgresqlConnection(target)
        self._facts: ServerFacts | None = None
        self._reader = SessionReader()
        self._database = 0
        self._last: _Seen | None = None
        # What the server refused, and why: it is not asked again, so that its log is not filled.
        self._refused: dict[str, str] = {}

    def open(self, seconds: float) -> ServerFacts:
        """Log in, anew if need be. Raises SourceLostError, and CannotLookError for what shows no sessions at all."""
        deadline = Deadline.after(seconds)
        self._reader, self._refused, self._database, self._last = SessionReader(), {}, 0, None
        self._connection.open(deadline)
        try:
            self._facts = self._connection.facts(deadline)
            if not self._facts.extra:  # it told no more than its version: does it understand us at all?
                self._rows(None, deadline)
        except SourceSlowError as error:
            self.close()
            raise SourceLostError(f"logged in, but {error}") from None
        except RefusedError as error:
            self.close()
            raise SourceLostError(str(error)) from None
        return self._facts

    def look(self, seconds: float, *, thorough: bool = False) -> Snapshot:
        """All sessions but our own; `thorough` adds prepared transactions, replication slots and counters."""
        started, deadline = time.monotonic(), Deadline.after(seconds)
        found = self._look(None if thorough else self._last, deadline)
        if found is None:
            found = self._look(None, deadline) or []
        counts = count(found)
        if counts.hidden:
            answer = self._try("the transactions of hidden sessions", sessions.HIDDEN, deadline)
            found = add_hidden(found, answer or ())
            counts = count(found)
        extra, late = self._beside_in_time(deadline) if thorough else (Beside(), ())
        return Snapshot(
            at=self._last.at if self._last else time.time() + ((self._facts and self._facts.clock_skew) or 0.0),
            sessions=tuple(found),
            slots=self._slots(counts),
            prepared=extra.prepared,
            replication_slots=extra.slots,
            ended=extra.ended,
            missing=(*self._missing(counts), *late),
            took=time.monotonic() - started,
        )

    def explain(self, snapshot: Snapshot, wanted: Wanted, seconds: float) -> Snapshot:
        """Details of at most 200 of the sessions wanted, and at most 50 waiters; what changed meanwhile is left out."""
        started, deadline = time.monotonic(), Deadline.after(seconds)
        found = self._details(snapshot, wanted.details, deadline) if wanted.details else {}
        waiters = self._waiters(snapshot, deadline) if wanted.blocking else snapshot.waiters
        missing = tuple(dict.fromkeys((*snapshot.missing, *self._missing_parts())))
        took = snapshot.took + time.monotonic() - started
        return snapshot._replace(details={**snapshot.details, **found}, waiters=waiters, missing=missing, took=took)

    def terminate(self, identities: Sequence[Identity], seconds: float) -> list[Termination]:
        """End these sessions of clients, each by a statement that checks who it is; wait until they are gone."""
        from dbdoctor.watch.postgresql_ending import PostgresqlEnding

        return PostgresqlEnding(self._connection, self._user).end(identities, Deadline.after(seconds))

    def superusers(self, seconds: float) -> frozenset[str]:
        """The roles whose sessions are never ended; `terminate` asks again for itself."""
        answer = self._try("the roles", "SELECT rolname FROM pg_roles WHERE rolsuper", Deadline.after(seconds))
        return frozenset(decode(row[0]) or "" for row in answer or ())

    def close(self) -> None:
        """Log out; never raises."""
        self._connection.close()

    @property
    def own(self) -> int | None:
        """The id of our own session, while there is one."""
        session = self._connection.session
        return session.backend_pid if session else None

    @property
    def own_connection(self) -> OwnConnection | None:
        """Where our own session comes from, for those who look for clients on this host; None while there is none."""
        from dbdoctor.watch.own_connection import own_connection

        session, facts = self._connection.session, self._facts
        if session is None or session.connection.closed or facts is None:
            return None
        seen_as = facts.extra.get("client_address"), facts.extra.get("client_port")
        return own_connection(session.connection.fileno(), seen_as, session.port, session.backend_pid)

    # Looking

    def _look(self, last: _Seen | None, deadline: Deadline) -> list[Session] | None:
        """All sessions; with `last` only what has changed is asked for, and None says that this was not enough."""
        started = time.monotonic()
        rows = self._rows(last.since if last else None, deadline)
        ended = time.monotonic()
        changed = [row for row in rows if row[14] is not None]
        own = own_row(changed)
        if last and (own is None or abs((own[15] - last.at) - (ended - last.ours)) > _DRIFT):
            return None
        self._learn_names(changed, deadline)
        self._last = _Seen(own[15] - (ended - started) - _MARGIN, own[15], ended) if own else None
        self._database = (own and own[2]) or self._database
        return self._reader.read(rows)

    def _rows(self, since: float | None, deadline: Deadline) -> list[sessions.Row]:
        try:
            return self._connection.ask(sessions.look_question(since), deadline)
        except RefusedError as error:
            self.close()
            name = f"{self._facts.product} {self._facts.version}" if self._facts else "this server"
            raise CannotLookError(
                f"{name} does not show its sessions as PostgreSQL 13 to 18 do",
                cause=str(error),
                help="`dbdoctor check` tells what can be seen of it; `leaks` needs the function pg_stat_get_activity",
            ) from None

    def _learn_names(self, rows: Sequence[sessions.Row], deadline: Deadline) -> None:
        roles, databases = self._reader.unknown(rows)
        if roles or databases:
            question = sessions.names_question(roles, databases)
            answer = self._try("the names of roles and databases", question, deadline)
            self._reader.learn(roles, databases, answer or ())

    def _slots(self, counts: Counts) -> Slots | None:
        """Walsenders have slots of their own; ours is one of the others."""
        known = self._facts.slots if self._facts else None
        return known and Slots(known.limit, known.reserved, 1 + counts.clients)

    def _beside_in_time(self, deadline: Deadline) -> tuple[Beside, tuple[Missing, ...]]:
        """The sessions have been seen already: what is late now is missing from this look, and does not spoil it."""
        try:
            return self._beside(deadline), ()
        except SourceSlowError as error:
            if self._connection.session is None:
                raise
            return Beside(), (Missing("prepared transactions, replication slots and counters", str(error)),)

    def _beside(self, deadline: Deadline) -> Beside:
        """All parts in one question; when it is refused, each alone, so that one does not hide the others."""
        version = self._facts.version_number if self._facts else 0
        parts = [part for part in beside.parts_of(version) if part not in self._refused]
        if not parts:
            return Beside()
        try:
            return beside.read_beside(parts, self._connection.ask(beside.beside_question(parts), deadline))
        except RefusedError:
            answers = {part: self._try(part, beside.beside_question([part]), deadline) for part in parts}
            known = {part: answer for part, answer in answers.items() if answer is not None}
            return beside.read_beside(known, [row for answer in known.values() for row in answer])

    # Explaining

    def _details(self, snapshot: Snapshot, ids: Sequence[int], deadline: Deadline) -> dict[int, Detail]:
        wanted = dict.fromkeys(ids[: details.MOST_DETAILS])
        known = {session.id: session for session in snapshot.sessions if session.id in wanted}
        if not known:
            return {}
        question = details.details_question(tuple(known), self._database)
        answer = self._try("statements and locks", question, deadline)
        return details.read_details(answer or (), known, self._reader.databases)

    def _waiters(self, snapshot: Snapshot, deadline: Deadline) -> tuple[Waiter, ...]:
        known = {session.id: session for session in snapshot.sessions if session.hidden or session.waits_for == "Lock"}
        hidden = any(session.hidden for session in known.values())
        if not known:
            return ()
        newer = self._facts is not None and self._facts.version_number >= 140000
        question = details.waiters_question(None if hidden else tuple(known), has_waitstart=newer)
        answer = self._try("who waits for whom", question, deadline)
        return details.read_waiters(answer or (), known)

    # What could not be seen

    def _try(self, what: str, question: str, deadline: Deadline) -> list[sessions.Row] | None:
        """The answer, or None when the server refuses it, now or before."""
        if what in self._refused:
            return None
        try:
            return self._connection.ask(question, deadline)
        except RefusedError as error:
            self._refused[what] = str(error)
            return None

    def _missing(self, counts: Counts) -> list[Missing]:
        missing = []
        if counts.hidden:
            what = f"the state, start and address of {_plural(counts.hidden)} of other roles"
            missing.append(Missing(what, *self._why_hidden()))
        if counts.silent:
            what, why = f"the state of {_plural(counts.silent)}", "track_activities is off for them"
            missing.append(Missing(what, why, "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();"))
        return [*missing, *self._missing_parts()]

    def _missing_parts(self) -> list[Missing]:
        return [Missing(what, f"the server refuses it: {words}") for what, words in self._refused.items()]

    def _why_hidden(self) -> tuple[str, str]:
        """As the facts have it, where they do: they know the role that we act as."""
        for missing in self._facts.missing if self._facts else ():
            if missing.help:
                return missing.reason, missing.help
        return (
            f"the role {self._user} is not a member of pg_monitor",
            f"GRANT pg_monitor TO {quote_identifier(self._user)};",
        )

    @property
    def _user(self) -> str:
        return (self._facts and self._facts.user) or self.target.user or "?"


def _plural(number: int) -> str:
    return f"{number} session{'s' if number != 1 else ''}"
