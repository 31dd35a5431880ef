"""Ending PostgreSQL sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbdoctor.databases.postgresql_terminate import alive_question, end_question, read_alive, read_end
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.session import Identity
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.ending import Ending
from dbdoctor.watch.postgresql_connection import PostgresqlConnection, RefusedError
from dbdoctor.watch.source import Termination


class PostgresqlEnding(Ending):
    """Ends sessions over one connection, whose role is `user`."""

    refused = RefusedError

    def __init__(self, connection: PostgresqlConnection, user: str) -> None:
        super().__init__()
        self._connection = connection
        self._user = user

    def tell(self, identity: Identity, deadline: Deadline) -> Termination | None:
        """By pg_terminate_backend, one statement each: a refusal of one stops no other."""
        try:
            answer = read_end(self._connection.ask(end_question(identity), deadline))
        except RefusedError as error:
            grant = f"; GRANT pg_signal_backend TO {quote_identifier(self._user)};" if error.sqlstate == "42501" else ""
            return Termination(identity, "not-allowed", f"{error}{grant}")
        return None if answer.sent else Termination(identity, answer.outcome, answer.detail)

    def still_there(self, identities: Sequence[Identity], deadline: Deadline) -> Mapping[Identity, str]:
        """What they are doing is not asked."""
        return dict.fromkeys(
            read_alive(list(identities), self._connection.ask(alive_question(identities), deadline)), ""
        )
