"""Ending sessions of SQL Server one by one, and seeing that they have gone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from dbdoctor.databases import sqlserver_terminate as terminate
from dbdoctor.databases.sqlserver_rights import Rights
from dbdoctor.databases.sqlserver_sessions import REQUESTS, Parts
from dbdoctor.databases.sqlserver_text import RefusedError
from dbdoctor.model.session import Identity
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Termination
from dbdoctor.watch.sqlserver_connection import SqlServerConnection

_LOST = (SourceLostError, SourceSlowError)
# Between two looks whether they are gone; the first comes at once.
_PAUSE = 0.05
_NO_RIGHT = 6102


class Ending:
    """Ends sessions over one connection. `logins` has the login of each session that was seen last, as the server has it.

    Those who are not among them are known by their start alone; `offset` is how far the server's local time is ahead.
    """

    def __init__(
        self,
        connection: SqlServerConnection,
        rights: Rights | None,
        logins: Mapping[int, int | None],
        offset: float,
        parts: Parts,
    ) -> None:
        self._connection = connection
        self._rights = rights
        self._logins = logins
        self._offset = offset
        self._parts = parts
        self._done: dict[Identity, Termination] = {}
        self._sent: dict[Identity, int] = {}

    def end(self, identities: Sequence[Identity], deadline: Deadline) -> list[Termination]:
        """What became of each, in order. Raises SourceLostError or SourceSlowError when nothing was ended yet."""
        asked = list(dict.fromkeys(identities))
        try:
            for identity in asked:
                self._end_one(identity, deadline)
        except _LOST as error:
            if not self._sent:
                raise
            self._rest([one for one in asked if one not in self._sent], f"not asked: {error}")
        try:
            self._await_end(deadline)
        except (*_LOST, RefusedError) as error:
            self._rest(list(self._sent), f"told to end, but whether it did is not known: {error}")
        return [self._done[identity] for identity in asked]

    def _end_one(self, identity: Identity, deadline: Deadline) -> None:
        number, started = identity
        if started is None:
            why = "its start time is hidden from this login, so that it could be another session"
            self._done[identity] = Termination(identity, "not-allowed", why)
            return
        login_at = self._login_of(number, started)
        try:
            answer = terminate.read_end(self._connection.ask(terminate.end_question(number, login_at), deadline))
        except RefusedError as error:
            self._done[identity] = self._refused(identity, error)
            return
        if answer.sent:
            self._sent[identity] = login_at
        else:
            self._done[identity] = Termination(identity, answer.outcome, answer.detail)

    def _login_of(self, number: int, started: float) -> int:
        """As it was seen, if it is the same session; what was written before a change of daylight saving stays so."""
        told = terminate.local_milliseconds(started, self._offset)
        seen = self._logins.get(number)
        return seen if seen is not None and (seen - told) % 3_600_000 in (0, 3_599_999, 1) else told

    def _refused(self, identity: Identity, error: RefusedError) -> Termination:
        if error.native in terminate.GONE:
            return Termination(identity, "not-found")
        if error.native in terminate.NOT_FOR_KILL:
            return Termination(identity, "spared", terminate.NOT_FOR_KILL[error.native])
        grant = f"; {self._rights.grant_kill()}" if error.native == _NO_RIGHT and self._rights else ""
        return Termination(identity, "not-allowed", f"{error}{grant}")

    def _await_end(self, deadline: Deadline) -> None:
        waiting = dict(self._sent)
        while waiting:
            question = terminate.alive_question(
                [number for number, _ in waiting], with_requests=REQUESTS in self._parts.views
            )
            there = terminate.read_alive(waiting, self._connection.ask(question, deadline))
            self._done.update((one, Termination(one, "ended")) for one in waiting if one not in there)
            waiting = {one: waiting[one] for one in there}
            if waiting and deadline.remaining < 2 * _PAUSE:
                for one, doing in there.items():
                    detail = f"told to end; {doing}" if doing else "told to end, but it has not yet"
                    self._done[one] = Termination(one, "still-there", detail)
                return
            if waiting:
                time.sleep(_PAUSE)

    def _rest(self, identities: Sequence[Identity], detail: str) -> None:
        for identity in identities:
            self._done.setdefault(identity, Termination(identity, "still-there", detail))
