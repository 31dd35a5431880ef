"""Pool settings recommended: what bounds them, what a fleet may have, what is predicted, and why each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dbdoctor.model.demand import Demand
from dbdoctor.model.pool import PoolSettings


class WaitTarget(NamedTuple):
    """What is good enough: this share of the checkouts waits for a connection at most so many seconds.

    The default is ours: one checkout in a hundred may wait longer than 10 ms, which no caller notices.
    """

    share: float = 0.99
    wait: float = 0.010


class Ceiling(NamedTuple):
    """At most `connections` may be open; `working` is the sum behind it, `per_process` whether it is one process's.

    `services` are those that share it, where not all of the server's do (a role's own limit).
    """

    name: str
    connections: int
    working: str
    per_process: bool = False
    services: tuple[str, ...] = ()

    def binds(self, service: str) -> bool:
        """Whether the connections of this service count here."""
        return not self.services or service in self.services


class Bounds(NamedTuple):
    """What the connections of all pools must keep to.

    `ceilings` are hard. `floor` is the least for one process, below which requests that hold several connections can
    block each other, and `floor_working` its sum. Warnings only: `knee` is how many at once the server works on fastest,
    `workers` how many it can have at work (SQL Server), and what becomes of more in words.
    """

    ceilings: tuple[Ceiling, ...] = ()
    floor: int = 1
    floor_working: str = ""
    knee: int | None = None
    knee_working: str = ""
    workers: int | None = None
    workers_working: str = ""

    @property
    def shared(self) -> tuple[Ceiling, ...]:
        """The ceilings that pools share, those of some services only among them."""
        return tuple(one for one in self.ceilings if not one.per_process)

    @property
    def narrowest(self) -> Ceiling | None:
        """The ceiling of the whole fleet that binds first."""
        return min((one for one in self.shared if not one.services), key=lambda one: one.connections, default=None)

    @property
    def per_process(self) -> Ceiling | None:
        """The ceiling of a single process that binds first."""
        return min((one for one in self.ceilings if one.per_process), key=lambda one: one.connections, default=None)


class PoolerLimits(NamedTuple):
    """What a pooler in between admits, as far as it is known; None is not known, or no limit.

    `clients` is max_client_conn, `clients_of_others` how many of these others than the fleet hold now; `pool_size` how many
    server connections it keeps for this login and database at most, `reserve` how many more when clients wait long;
    `database` max_db_connections. `client_idle` is client_idle_timeout in seconds. `source` says where this is known from.
    """

    clients: int | None = None
    clients_of_others: int = 0
    pool_size: int | None = None
    reserve: int = 0
    database: int | None = None
    client_idle: float | None = None
    source: str = ""

    @property
    def server_connections(self) -> int | None:
        """How many server connections this login's clients can have at once."""
        known = [one for one in (self.pool_size, self.database) if one is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around the pool of a process. Durations are seconds; None is not known.

    `idle_timeout` is the shortest on the path and `idle_timeout_of` names what has it; `keepalive_resets_it` whether TCP
    keepalives count there. `deadline` is the caller's own (a load balancer's, a worker's). `threads` are how many can
    use the pool at once, `per_request` how many connections one request holds at a time. `round_trip` is one to the
    server, `connect` a login. `pooler_mode` is a pooler's: session, transaction, statement. `tcp` is False on a socket.
    `connect_args` are the driver's arguments that the application gives now.
    """

    product: str = "postgresql"
    driver: str = "psycopg2"
    idle_timeout: float | None = None
    idle_timeout_of: str = "the path"
    keepalive_resets_it: bool | None = None
    deadline: float | None = None
    threads: int | None = None
    per_request: int = 1
    round_trip: float | None = None
    connect: float | None = None
    pooler: str | None = None
    pooler_mode: str | None = None
    tcp: bool = True
    connect_args: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a fleet: processes that each hold a pool of their own.

    `surge` are the replicas more that a rollout starts, `terminating` those that it has not ended yet. `workers` are
    processes in a replica, `engines` pools in a process. `size` is the pool of a process as it is configured, with its
    overflow (None: as its demand says); `wanted` what its demand asks for, where that is known; `floor` the least it can
    do with; `threads` the most that it can use at once. `curve` is the demand: for 1, 2, 3 ... connections in a process,
    the seconds of waiting per second of one process.
    """

    name: str
    replicas: int = 1
    workers: int = 1
    engines: int = 1
    surge: int = 0
    terminating: int = 0
    size: int | None = None
    wanted: int | None = None
    floor: int = 1
    threads: int | None = None
    curve: tuple[float, ...] = ()

    @property
    def pools(self) -> int:
        """Pools that are open at the height of a rollout."""
        return (self.replicas + self.surge + self.terminating) * self.workers * self.engines

    @property
    def pools_at_rest(self) -> int:
        """Pools that are open between rollouts."""
        return self.replicas * self.workers * self.engines


class BudgetRow(NamedTuple):
    """What one service gets: `pools` at the height of a rollout, each with `each` connections, `total` in all.

    `wanted` is what each would have had without a limit; `working` is the multiplication, to read.
    """

    service: str
    pools: int
    each: int
    total: int
    wanted: int
    working: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The sum of all services beside what is usable. `give_up` says what would make it fit when it does not."""

    rows: tuple[BudgetRow, ...]
    usable: int
    usable_working: str
    give_up: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Connections of all services together at the height of a rollout of every one."""
        return sum(row.total for row in self.rows)

    @property
    def feasible(self) -> bool:
        """Whether it fits."""
        return self.total <= self.usable and not self.give_up

    @property
    def short_of_wishes(self) -> tuple[str, ...]:
        """The services that get less than they would have wanted."""
        return tuple(row.service for row in self.rows if row.each < row.wanted)


class Range(NamedTuple):
    """From `least` to `most`: the 5 % and 95 % points of a bootstrap, or the two ends of an assumption."""

    least: float
    most: float


class SizePoint(NamedTuple):
    """What waiting is predicted with `size` connections in a process. Seconds; `share` of the checkouts that wait at all."""

    size: int
    mean: float
    p50: float
    p95: float
    p99: float
    longest: float
    share: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the recommended pool is predicted to do. Durations are seconds.

    `longest` ranges from a fair queue's longest wait to that of SQLAlchemy's, where newcomers overtake. `timeouts` are
    checkouts that end in `QueuePool limit ... reached`, `connects` new connections after the first `pool_size`, and
    `connects_share` the share of checkouts that pay for one. `sweep` holds the other sizes that were tried.
    """

    point: SizePoint
    p99_range: Range
    longest: Range
    timeouts: int
    connects: int
    connects_per_second: float
    connects_share: float
    sweep: tuple[SizePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Because:
    """One setting: its value, the reason in a sentence, and the numbers behind it (JSON values; durations in seconds).

    `changes` is whether it differs from the current setting.
    """

    setting: str
    value: Any
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    changes: bool = True


class CrossCheck(NamedTuple):
    """What a closed form says, beside the replay: `size` connections, and whether it agrees within three."""

    name: str
    size: int
    agrees: bool
    working: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All of it. `settings` are create_engine's arguments; `connections` what a process can open with them.

    `size_range` is how far the size could be off, by bootstrap or by assumption. `saturated` says that the database is
    the bottleneck, in words. `notes` are for people. `incomplete` is what was wanted and could not be met.
    `current_prediction` is what the current settings are predicted to do with the same demand.
    """

    settings: Mapping[str, Any]
    connections: int | None
    size_range: Range | None
    demand: Demand
    bounds: Bounds
    target: WaitTarget
    because: tuple[Because, ...]
    current: PoolSettings | None = None
    current_is_fine: bool = False
    prediction: Prediction | None = None
    current_prediction: Prediction | None = None
    cross_checks: tuple[CrossCheck, ...] = ()
    budget: Budget | None = None
    saturated: str | None = None
    server_settings: tuple[Because, ...] = ()
    notes: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
