"""Ending sessions of SQL Server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbdoctor.databases import sqlserver_terminate as terminate
from dbdoctor.databases.sqlserver_rights import Rights
from dbdoctor.databases.sqlserver_sessions import REQUESTS, Parts
from dbdoctor.databases.sqlserver_text import RefusedError
from dbdoctor.model.session import Identity
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.ending import Ending
from dbdoctor.watch.source import Termination
from dbdoctor.watch.sqlserver_connection import SqlServerConnection

_NO_RIGHT = 6102


class SqlServerEnding(Ending):
    """Ends sessions over one connection. `logins` has the login of each session that was seen last, as the server has it.

    Those who are not among them are known by their start alone; `offset` is how far the server's local time is ahead.
    """

    refused = RefusedError

    def __init__(
        self,
        connection: SqlServerConnection,
        rights: Rights | None,
        logins: Mapping[int, int | None],
        offset: float,
        parts: Parts,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._rights = rights
        self._logins = logins
        self._offset = offset
        self._parts = parts
        self._logged_in: dict[Identity, int] = {}

    def tell(self, identity: Identity, deadline: Deadline) -> Termination | None:
        """By KILL, in a batch that compares the login's time first."""
        number, started = identity
        login_at = self._login_of(number, started or 0.0)
        try:
            answer = terminate.read_end(self._connection.ask(terminate.end_question(number, login_at), deadline))
        except RefusedError as error:
            return self._refused(identity, error)
        if not answer.sent:
            return Termination(identity, answer.outcome, answer.detail)
        self._logged_in[identity] = login_at
        return None

    def still_there(self, identities: Sequence[Identity], deadline: Deadline) -> Mapping[Identity, str]:
        """A session that is told to end stays for as long as its work is rolled back, and says how far that is."""
        question = terminate.alive_question(
            [number for number, _ in identities], with_requests=REQUESTS in self._parts.views
        )
        waiting = {one: self._logged_in[one] for one in identities}
        return terminate.read_alive(waiting, self._connection.ask(question, deadline))

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
