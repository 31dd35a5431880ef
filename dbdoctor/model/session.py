"""One session of a server, as both products can say it; and what was asked of it in addition, because it mattered."""

from __future__ import annotations

from typing import NamedTuple

ACTIVE = "active"
"""A statement runs (SQL Server: running, runnable, suspended)."""
IDLE = "idle"
"""Nothing runs and no transaction is open (SQL Server: sleeping or dormant with no transaction that holds anything)."""
IDLE_IN_TRANSACTION = "idle in transaction"
"""Nothing runs, but a transaction is open."""
ABORTED = "idle in transaction (aborted)"
"""A statement of the open transaction failed, and nobody rolled back."""

CLIENT = "client"
REPLICATION = "replication"
OTHER = "other"

Identity = tuple[int, float | None]
"""(id, started_at): ids are given out again, the pair is not."""


class Session(NamedTuple):
    """One session at one moment. Times are Unix seconds by the server's clock; None is "hidden from us" or "never".

    `state` is one of ACTIVE, IDLE, IDLE_IN_TRANSACTION, ABORTED; None when the server hides it (`hidden`).
    `changed_at` is when it entered that state, `statement_at` when its last or running statement began,
    `transaction_at` when the open transaction began. `client` is the client's address, `local` for a unix socket or
    shared memory. `waits_for` is the class of event that an ACTIVE session waits for ("Lock").
    `writes`: the transaction has written (PostgreSQL: has an xid; SQL Server: log records > 0).
    `holds_back`: how many transactions old the oldest snapshot is that it keeps from vacuum.
    `transaction_key` is PostgreSQL's virtual transaction, known of hidden sessions too: the same in two samples is
    a transaction that stayed open. `kind` is CLIENT, REPLICATION or OTHER. `process` is what the client said of its own
    process (SQL Server's host_process_id). `native_state` is the product's own word where it differs from `state` ("dormant").
    `unsure`: IDLE with an open transaction of which the server does not show whether it is the driver's own empty one.
    """

    id: int
    started_at: float | None
    user: str | None
    database: str | None
    application: str | None
    client: str | None
    client_port: int | None
    state: str | None
    changed_at: float | None
    transaction_at: float | None
    statement_at: float | None
    waits_for: str | None
    writes: bool
    holds_back: int | None
    kind: str = CLIENT
    hidden: bool = False
    transaction_key: str | None = None
    process: int | None = None
    native_state: str | None = None
    unsure: bool = False

    @property
    def identity(self) -> Identity:
        """(id, started_at)."""
        return (self.id, self.started_at)


class Detail(NamedTuple):
    """What was asked of one session because its life needed an explanation; holds while `changed_at` stays the same.

    `statement` is its last statement, cut at 1,000 characters and cleaned; None when hidden. `locks` counts what it
    holds on relations; `strongest_lock` is the worst of them (`RowExclusiveLock`) and `locked` its relation, if known.
    `advisory_locks` counts those that an application takes by its own numbers. `snapshot` says that an old snapshot is
    held (REPEATABLE READ, or an open cursor). `log_bytes` is how much of the log its transaction uses (SQL Server).
    """

    changed_at: float | None
    statement: str | None = None
    locks: int = 0
    strongest_lock: str | None = None
    locked: str | None = None
    advisory_locks: int = 0
    log_bytes: int | None = None


class Waiter(NamedTuple):
    """A session that waits for a lock, since when (server's clock; None: not known), and the ids that block it."""

    id: int
    since: float | None
    blocked_by: tuple[int, ...]


class ClientProcess(NamedTuple):
    """The process behind a session, found on this host; `command` is its command line without secrets, cut short.

    `pooler` names the pooler when the process is one (`PgBouncer`): its idle sessions are its own. `forwarder` names what
    only passes others' connections on, one to one (`HAProxy`, an SSH tunnel): its sessions are those of many clients, who
    are not known. `started_at` is by this host's clock (Unix seconds).
    """

    pid: int
    command: str | None = None
    user: str | None = None
    pooler: str | None = None
    started_at: float | None = None
    forwarder: str | None = None


class PooledClient(NamedTuple):
    """The client behind a pooler's server session, as the pooler's own admin console says."""

    address: str | None
    port: int | None
    application: str | None
    user: str | None
    database: str | None
    state: str | None
    connected_at: str | None = None
