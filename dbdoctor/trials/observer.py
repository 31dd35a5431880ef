"""The one session that looks at the trials' sessions from outside, and ends what is left of them."""

from __future__ import annotations

from typing import Protocol

from dbdoctor.databases.postgresql_trials import end_question, look_question, read_look
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import Ghost
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.postgresql_connection import PostgresqlConnection, RefusedError
from dbdoctor.watch.source import SourceLostError, SourceSlowError

_PATIENCE = 3.0
_UNABLE = (SourceLostError, SourceSlowError, RefusedError)


class Observer(Protocol):
    """What a simulation asks of it. `facts` are the server's."""

    facts: ServerFacts

    def look(self, application_name: str) -> list[Ghost] | None:
        """The sessions of this name that the server has; None when it cannot be told."""

    def end(self, prefix: str) -> bool:
        """End our own sessions whose name begins so; whether that could be asked."""

    def close(self) -> None:
        """Log out."""


class PostgresqlObserver:
    """On PostgreSQL; raises SourceLostError when it cannot log in.

    Behind a pooler it looks at nothing and ends nothing: a session of the server that had our name may serve somebody else
    the next moment, and keep the name.
    """

    def __init__(self, target: Target, login_timeout: float) -> None:
        self._connection = PostgresqlConnection(target)
        self._login_timeout = login_timeout
        deadline = Deadline.after(login_timeout)
        self._connection.open(deadline)
        self.facts = self._connection.facts(Deadline.after(_PATIENCE))

    def look(self, application_name: str) -> list[Ghost] | None:
        """The sessions of this name that the server has; None when it cannot be told."""
        if self.facts.pooler is not None:
            return None
        for again in (True, False):
            try:
                return read_look(self._connection.ask(look_question(application_name), Deadline.after(_PATIENCE)))
            except _UNABLE:
                if not (again and self._open_again()):
                    return None
        return None

    def end(self, prefix: str) -> bool:
        """End our own sessions whose name begins so; whether that could be asked."""
        if self.facts.pooler is not None:
            return False
        for again in (True, False):
            try:
                self._connection.ask(end_question(prefix), Deadline.after(_PATIENCE))
            except _UNABLE:
                if not (again and self._open_again()):
                    return False
            else:
                return True
        return False

    def close(self) -> None:
        """Log out."""
        self._connection.close()

    def _open_again(self) -> bool:
        if self._connection.session is not None:
            return False
        try:
            self._connection.open(Deadline.after(self._login_timeout))
        except _UNABLE:
            return False
        return True


def open_observer(target: Target, login_timeout: float) -> Observer:
    """The observer of the target's product, logged in. Raises SourceLostError."""
    if target.product is Product.POSTGRESQL:
        return PostgresqlObserver(target, login_timeout)
    from dbdoctor.trials.observer_sqlserver import SqlServerObserver

    return SqlServerObserver(target, login_timeout)
