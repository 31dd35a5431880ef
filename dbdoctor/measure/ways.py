"""How connections of a product are opened for a measurement, and how what they left behind is cleared away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dbdoctor.errors import CannotLookError
from dbdoctor.measure.link import Link
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.session import Identity
from dbdoctor.model.target import Product, Target
from dbdoctor.probe.deadline import Deadline


class Way(Protocol):
    """The way to one server."""

    @property
    def is_local(self) -> bool:
        """Whether it is a unix socket, with no network that could drop anything."""

    def link(self, number: int) -> Link:
        """A connection that is not open yet."""

    def sweep(self, sessions: Sequence[Identity], seconds: float) -> tuple[int, int] | None:
        """End what is left of these sessions of ours: how many were left, how many were told to end; None: not seen."""

    def kept_seconds(self) -> float | None:
        """For how long the server keeps a session whose client vanished; None when it does not say."""


def way_to(target: Target, facts: ServerFacts | None, login_timeout: float) -> Way:
    """The way to that target, with its names looked up once. Raises CannotLookError."""
    if target.product is Product.SQLSERVER:
        from dbdoctor.measure.sqlserver_way import SqlServerWay

        return SqlServerWay(target, login_timeout)
    return PostgresqlWay(target, facts, login_timeout)


class PostgresqlWay:
    """To a PostgreSQL server, or a pooler before it, whose server sessions are not ours then."""

    def __init__(self, target: Target, facts: ServerFacts | None, login_timeout: float) -> None:
        from dbdoctor.probe.events import StageLog
        from dbdoctor.probe.reach import reach

        reached = reach(target, Deadline.after(login_timeout), StageLog(lambda _event: None))
        for attempt in reached.attempts:
            if attempt.socket:
                attempt.socket.close()
        if not reached.attempts:
            raise CannotLookError(f"{target.shown} cannot be reached any more", help="run `dbdoctor check` on it")
        self._target = target
        self._addresses = [attempt.address for attempt in reached.attempts]
        self._facts = facts
        self._anonymous = facts is None or facts.pooler is not None

    @property
    def is_local(self) -> bool:
        """Whether it is a unix socket."""
        return self._addresses[0].endpoint.is_socket

    def link(self, number: int) -> Link:
        """A connection that is not open yet."""
        from dbdoctor.measure.postgresql_link import PostgresqlLink

        return PostgresqlLink(number, self._arguments(), anonymous=self._anonymous)

    def sweep(self, sessions: Sequence[Identity], seconds: float) -> tuple[int, int] | None:
        """End what is left of our sessions; behind a pooler there is nothing of ours to end."""
        from dbdoctor.measure.ghosts import sweep

        return None if self._anonymous else sweep(self._target, self._addresses, sessions, seconds)

    def kept_seconds(self) -> float | None:
        """The server's TCP keepalives, idle time and all probes."""
        from dbdoctor.measure.ghosts import kept_seconds

        return kept_seconds(self._facts)

    def _arguments(self) -> dict[str, Any]:
        from dbdoctor.probe.login import connection_arguments

        arguments: dict[str, Any] = dict(connection_arguments(self._target, self._addresses))
        if self._target.password is not None:
            arguments["password"] = self._target.password.reveal()
        for key, secret in self._target.secret_parameters.items():
            arguments[key] = secret.reveal()
        return arguments
