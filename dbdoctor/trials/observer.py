"""The one session that looks at the trials' sessions from outside, and ends what is left of them."""

from __future__ import annotations

import time
from typing import Protocol

from dbdoctor.databases.postgresql_trials import end_question, look_question, read_look
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import Ghost
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.postgresql_connection import PostgresqlConnection, RefusedError
from dbdoctor.watch.source import SourceLostError, SourceSlowError

_PATIENCE = 3.0
# Two looks at the same beginning differ by no more (seconds).
_SAME = 1.5
_UNABLE = (SourceLostError, SourceSlowError, RefusedError)


class Observer(Protocol):
    """What a simulation asks of it. `facts` are the server's; `losses` counts how often it was gone, or restarted."""

    facts: ServerFacts
    losses: int

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
        self.losses = 0
        self._connection = PostgresqlConnection(target)
        self._login_timeout = login_timeout
        deadline = Deadline.after(login_timeout)
        self._connection.open(deadline)
        self.facts = self._connection.facts(Deadline.after(_PATIENCE))
        self._began = beginning(self.facts)

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
            self.losses += is_another(self._began, self._connection.facts(Deadline.after(_PATIENCE)))
        except _UNABLE:
            self.losses += 1
            return False
        return True


def beginning(facts: ServerFacts) -> float | None:
    """When the server began, by this machine's monotonic clock; None when it does not say."""
    return None if facts.uptime is None else time.monotonic() - facts.uptime


def is_another(began: float | None, facts: ServerFacts) -> bool:
    """Whether the server has begun anew since it had begun at `began`."""
    again = beginning(facts)
    return began is not None and again is not None and again - began > _SAME


def open_observer(target: Target, login_timeout: float) -> Observer:
    """The observer of the target's product, logged in. Raises SourceLostError."""
    if target.product is Product.POSTGRESQL:
        return PostgresqlObserver(target, login_timeout)
    from dbdoctor.trials.observer_sqlserver import SqlServerObserver

    return SqlServerObserver(target, login_timeout)
