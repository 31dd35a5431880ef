"""One look at all the sessions of a server, product-neutral; what could not be read is a named absence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from dbdoctor.model.holding import Holding
from dbdoctor.model.server import Missing, Slots
from dbdoctor.model.session import ClientProcess, Detail, PooledClient, Session, Waiter

_NONE: Mapping[int, Any] = MappingProxyType({})


class PreparedTransaction(NamedTuple):
    """A two-phase transaction that waits for its second phase, with no session at all. Server's clock."""

    name: str
    prepared_at: float
    owner: str | None
    database: str | None
    holds_back: int | None


class ReplicationSlot(NamedTuple):
    """A replication slot; `holds_back` is how many transactions old its xmin or catalog_xmin is, None for none."""

    name: str
    active: bool
    holds_back: int | None
    database: str | None = None


class EndedSessions(NamedTuple):
    """Counters, since the server's statistics began, of sessions ended in the database that we are in.

    Because the client vanished, by an error, by an operator (PostgreSQL 14+: sessions_abandoned, _fatal, _killed).
    """

    abandoned: int
    fatal: int
    killed: int


class Snapshot(NamedTuple):
    """All sessions at `at` (server's clock, Unix seconds), our own left out; `took` seconds to read.

    `details` by session id, for those that were asked for. `prepared`, `replication_slots` and `ended` are asked for
    less often; None is "not asked this time", an empty tuple "none". `processes` by session id, where known, and so
    `holdings`: what the recorders in the applications say.
    """

    at: float
    sessions: tuple[Session, ...]
    slots: Slots | None = None
    details: Mapping[int, Detail] = _NONE
    waiters: tuple[Waiter, ...] = ()
    prepared: tuple[PreparedTransaction, ...] | None = None
    replication_slots: tuple[ReplicationSlot, ...] | None = None
    ended: EndedSessions | None = None
    processes: Mapping[int, ClientProcess] = _NONE
    clients_gone: frozenset[int] = frozenset()
    pooled_clients: Mapping[int, PooledClient] = _NONE
    holdings: Mapping[int, Holding] = _NONE
    missing: tuple[Missing, ...] = ()
    took: float = 0.0


class Gap(NamedTuple):
    """A time in which nothing could be seen (server's clock), and why; not a drop in sessions."""

    since: float
    until: float
    reason: str


class Wanted(NamedTuple):
    """What a snapshot leaves to be asked: the sessions (ids) that need a Detail, and whether to ask who blocks whom."""

    details: tuple[int, ...] = ()
    blocking: bool = False

    def __bool__(self) -> bool:
        return bool(self.details) or self.blocking
