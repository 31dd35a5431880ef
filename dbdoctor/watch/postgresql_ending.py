"""Ending PostgreSQL sessions one by one, and seeing that they have gone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbdoctor.databases.postgresql_terminate import alive_question, end_question, read_alive, read_end
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.session import Identity
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.postgresql_connection import PostgresqlConnection, RefusedError
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Termination

_LOST = (SourceLostError, SourceSlowError)
# Between two looks whether they are gone; the first comes at once.
_PAUSE = 0.05


class Ending:
    """Ends sessions over one connection, whose role is `user`."""

    def __init__(self, connection: PostgresqlConnection, user: str) -> None:
        self._connection = connection
        self._user = user
        self._done: dict[Identity, Termination] = {}
        self._sent: list[Identity] = []

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
            self._rest(self._sent, f"told to end, but whether it did is not known: {error}")
        return [self._done[identity] for identity in asked]

    def _end_one(self, identity: Identity, deadline: Deadline) -> None:
        if identity[1] is None:
            why = "its start time is hidden from this role, so that it could be another session"
            self._done[identity] = Termination(identity, "not-allowed", why)
            return
        try:
            answer = read_end(self._connection.ask(end_question(identity), deadline))
        except RefusedError as error:
            grant = f"; GRANT pg_signal_backend TO {quote_identifier(self._user)};" if error.sqlstate == "42501" else ""
            self._done[identity] = Termination(identity, "not-allowed", f"{error}{grant}")
            return
        if answer.sent:
            self._sent.append(identity)
        else:
            self._done[identity] = Termination(identity, answer.outcome, answer.detail)

    def _await_end(self, deadline: Deadline) -> None:
        waiting = list(self._sent)
        while waiting:
            there = read_alive(waiting, self._connection.ask(alive_question(waiting), deadline))
            self._done.update((one, Termination(one, "ended")) for one in waiting if one not in there)
            waiting = there
            if waiting and deadline.remaining < 2 * _PAUSE:
                self._rest(waiting, "told to end, but it has not yet")
                return
            if waiting:
                time.sleep(_PAUSE)

    def _rest(self, identities: Sequence[Identity], detail: str) -> None:
        for identity in identities:
            self._done.setdefault(identity, Termination(identity, "still-there", detail))
