"""A queue of SQLAlchemy's kind, in simulated time: what its sessions look like from the server at each moment.

Written after sqlalchemy.pool.QueuePool: a checkout takes a session that is free (the one free for longest, or for
shortest with LIFO), opens one when none is free and the limit allows, or waits; a checkin keeps pool_size of them and
closes the rest. A job is (begins, works for, idles in its transaction for, holds after its commit for, kept): a job that
is `kept` never checks its session in.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dbdoctor.model.session import ACTIVE, CLIENT, IDLE, IDLE_IN_TRANSACTION, Session

START = 1_700_000_000.0


class Job(NamedTuple):
    begins: float
    works: float
    pauses: float = 0.0
    holds: float = 0.0
    kept: bool = False


@dataclass
class Connection:
    id: int
    opened: float
    closed: float | None = None
    phases: list[tuple[float, str, float | None]] = field(default_factory=list)

    def session_at(self, now: float, application: str, process: int | None) -> Session | None:
        if self.opened > now or (self.closed is not None and self.closed <= now):
            return None
        state, changed, transaction, statement = IDLE, self.opened, None, None
        for at, entered, began in self.phases:
            if at > now:
                break
            state, changed, transaction = entered, at, began
            statement = at if entered == ACTIVE else statement
        return Session(
            self.id, START + self.opened, "app", "shop", application, "10.0.0.5", 40000 + self.id, state, START + changed,
            None if transaction is None else START + transaction, None if statement is None else START + statement,
            None, False, None, CLIENT, False, None, process,
        )  # fmt: skip


class PoolModel:
    """One pool; `run` takes its jobs, `sessions_at` says what the server shows."""

    def __init__(self, size: int, overflow: int, *, lifo: bool = False, first_id: int = 1) -> None:
        self.size, self.overflow, self.lifo = size, overflow, lifo
        self.connections: list[Connection] = []
        self._ids = itertools.count(first_id)
        self._free: list[Connection] = []
        self._out = 0

    def run(self, jobs: list[Job]) -> PoolModel:
        waiting: list[Job] = []
        events: list[tuple[float, int, Job | Connection]] = []
        order = itertools.count()
        for job in jobs:
            heapq.heappush(events, (job.begins, next(order), job))
        while events:
            now, _, event = heapq.heappop(events)
            if isinstance(event, Connection):
                self._check_in(event, now)
                if not waiting:
                    continue
                event = waiting.pop(0)
            connection = self._check_out(now)
            if connection is None:
                waiting.append(event)
                continue
            ends = self._work(connection, event, now)
            if not event.kept:
                heapq.heappush(events, (ends, next(order), connection))
        return self

    def sessions_at(self, now: float, application: str = "shop", process: int | None = 4242) -> Iterator[Session]:
        for connection in self.connections:
            session = connection.session_at(now, application, process)
            if session is not None:
                yield session

    def _check_out(self, now: float) -> Connection | None:
        if self._free:
            self._out += 1
            return self._free.pop(-1 if self.lifo else 0)
        if self._out >= self.size + self.overflow:
            return None
        self._out += 1
        connection = Connection(next(self._ids), now)
        self.connections.append(connection)
        return connection

    def _check_in(self, connection: Connection, now: float) -> None:
        self._out -= 1
        if len(self._free) < self.size:
            self._free.append(connection)
        else:
            connection.closed = now

    def _work(self, connection: Connection, job: Job, now: float) -> float:
        now += 0.004  # logging in, or a ping
        connection.phases.append((now, ACTIVE, now))
        ends = now + job.works
        if job.pauses:
            connection.phases.append((ends, IDLE_IN_TRANSACTION, now))
            ends += job.pauses
        connection.phases.append((ends, IDLE, None))
        return ends + job.holds
