"""Trials of pools through faults: what is tried, what the application saw, and what that amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from dbdoctor.model.finding import Finding


class Outcome(str, Enum):
    """What the application saw: no error; one failed request; several; or a request that never ended."""

    SURVIVES = "survives"
    ONE_ERROR = "one-error"
    ERRORS = "errors"
    HANGS = "hangs"


class Scenario(str, Enum):
    """What the application does while the fault strikes.

    `IDLE`: every connection is back in the pool. `IN_TRANSACTION`: each is checked out, idle in transaction.
    `QUERY`: each waits for the answer of a long query. `TRANSACTION`: each is busy in a long transaction.
    """

    IDLE = "idle"
    IN_TRANSACTION = "in-transaction"
    QUERY = "query"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool to try: SQLAlchemy's settings, the driver's, and what the application does beside it. Durations: seconds.

    `connect_args` are libpq's keywords, or ODBC's for SQL Server. `threads` use the pool at the same time, and so many
    connections are in it when the fault strikes. `ping_every`: a thread asks `SELECT 1` through the pool so often.
    `idle_factor`: how long the application stays idle, in times of the fault's idle timeout; `idle_extra` is added.
    `real` says in words what scaled values stand for; `lines` is the code to paste (real values).
    """

    name: str
    title: str
    pool_class: str = "QueuePool"
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30.0
    pool_recycle: float = -1.0
    pool_pre_ping: bool = False
    pool_use_lifo: bool = False
    connect_args: Mapping[str, str | int] = field(default_factory=dict)
    threads: int = 1
    ping_every: float | None = None
    query_timeout: float | None = None
    driver_manager_pooling: bool = False
    idle_factor: float = 1.25
    idle_extra: float = 0.0
    real: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    cost: int = 0


class ErrorSeen(NamedTuple):
    """An exception that reached the application. `where` is "checkout", "execute", "commit" or "checkin".

    `type` is SQLAlchemy's class, `driver_type` the driver's; `message` the driver's first line, redacted. `invalidated`
    is whether SQLAlchemy took it for a disconnect and so replaced its pool's connections; None where it does not say.
    """

    type: str
    driver_type: str | None
    sqlstate: str | None
    message: str
    where: str
    invalidated: bool | None


class Request(NamedTuple):
    """One use of the pool after the fault: when it began (seconds after the application went idle), how long it took.

    `seconds` is None when it had not ended when the trial was cut off. `session` is the server's id of the session.
    """

    round: int
    began: float
    seconds: float | None
    error: ErrorSeen | None = None
    session: int | None = None


class Ghost(NamedTuple):
    """A session of ours that the server kept though the pool has it no longer."""

    session: int
    state: str
    in_transaction: bool
    locks: int


class Record(NamedTuple):
    """All that was seen in one trial, before it is judged.

    `warm` are the ids of the pool's sessions before the fault; `held` those in it at the end (None: it never said).
    `connects` counts connections made after the fault, `messages` what the driver sent after it.
    `ghosts` is None when nobody could look. `broken` says why the trial itself could not be made.
    """

    fault: str
    pool: str
    idle: float
    requests: tuple[Request, ...] = ()
    warm: tuple[int, ...] = ()
    held: tuple[int, ...] | None = None
    connects: int = 0
    messages: int = 0
    pings: int = 0
    ghosts: tuple[Ghost, ...] | None = None
    broken: str | None = None
    cut_off_after: float | None = None
    warm_seconds: float | None = None


class Bound(NamedTuple):
    """How long something would last here, from `least` to `most` seconds; `most` None is for ever. `why` names the setting."""

    least: float
    most: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """One fault and one pool, judged. Durations are seconds.

    `failed` counts requests that failed (those that hang included); `first_response` is when the first request after
    the idle time got its answer, after it was asked for (None: never); `recovered` when every thread had been served
    again, counted likewise. `hang` is how long a request hung until it was cut off, `would_hang` how long it would have.
    `reconnects` are logins after the fault, `messages` what the driver sent after it, a round trip each (logins included);
    `ghosts` sessions left on the server; `ghost_bound` how long it keeps them.
    """

    fault: str
    pool: str
    testable: bool
    note: str = ""
    outcome: Outcome | None = None
    requests: int = 0
    failed: int = 0
    first_response: float | None = None
    recovered: float | None = None
    slowest: float | None = None
    hang: float | None = None
    would_hang: Bound | None = None
    error: ErrorSeen | None = None
    reconnects: int = 0
    messages: int = 0
    ghosts: tuple[Ghost, ...] | None = None
    ghost_bound: Bound | None = None


class Host(NamedTuple):
    """What the kernel of this machine does with a silent connection, and the server's keepalive; None: not known.

    Times are seconds. `retries` is net.ipv4.tcp_retries2; the `keepalive` three are idle, interval, count.
    """

    retries: int | None
    keepalive: tuple[int, int, int] | None
    server_keepalive: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """`trial` seconds of idle timeout in the trial stand for `real` seconds on the path."""

    trial: float
    real: float

    @property
    def factor(self) -> float:
        """What one second of the trial stands for."""
        return self.real / self.trial

    def to_json(self) -> dict[str, Any]:
        """For reports."""
        return {"trial_seconds": self.trial, "stands_for_seconds": self.real}


class FaultFacts(NamedTuple):
    """A fault in words, for reports and rules: see dbdoctor.faults.fault.Fault."""

    code: str
    title: str
    stands_for: str
    scenario: Scenario
    counts_keepalives: bool
    acknowledges: bool = False
    by_idleness: bool = True
    away: bool = False
    stalls_login: bool = False


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """All of a simulation. `cheapest` names the cheapest pool that survives every fault that could be tried, if any.

    `incomplete` says why not everything was tried (interrupted, ...). `took` is seconds.
    """

    target: str
    product: str
    scale: Scale
    faults: tuple[FaultFacts, ...]
    pools: tuple[PoolPlan, ...]
    cases: tuple[Case, ...]
    host: Host
    server: str
    took: float
    cheapest: str | None = None
    incomplete: str | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def case(self, fault: str, pool: str) -> Case | None:
        """The case of this fault and this pool, if it is among them."""
        return next((one for one in self.cases if (one.fault, one.pool) == (fault, pool)), None)
