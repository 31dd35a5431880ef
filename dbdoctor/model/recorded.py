"""What the recorder inside an application wrote, line by line, as values.

Durations (`_us`) are whole microseconds, and moments (`at`) such since the process's `began`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dbdoctor.model.holding import Frame

Frames: TypeAlias = tuple[Frame, ...]
"""A call site: at most four frames, innermost first; empty when the recorder could not tell it apart from others."""


class BadLine(NamedTuple):
    """A line that could not be read: of which file, its number from 1, and why."""

    file: str
    number: int
    reason: str


class Header(NamedTuple):
    """A process's recording, or a part of it, begins. `began` is Unix seconds; `leak_after` seconds; `sample` 0 to 1."""

    process: int
    began: float
    host: str
    program: str
    python: str
    sqlalchemy: str
    parent: int | None
    start_ticks: int | None
    leak_after: float
    sample: float
    part: int

    @property
    def identity(self) -> str:
        """`host:pid:began`: the process, whichever part of its recording this is."""
        return f"{self.host}:{self.process}:{self.began:.6f}"


class SiteLine(NamedTuple):
    """A call site's number, and its frames."""

    number: int
    frames: Frames


class PoolSettings(NamedTuple):
    """A pool as the engine had it. Durations are seconds; None where its class has no such setting."""

    pool_class: str
    size: int | None = None
    max_overflow: int | None = None
    timeout: float | None = None
    recycle: float | None = None
    pre_ping: bool | None = None
    lifo: bool | None = None
    reset_on_return: str | None = None

    @property
    def limit(self) -> int | None:
        """How many connections it may have at once; None when that is not bounded, or not known."""
        if not self.size or self.max_overflow is None or self.max_overflow < 0:
            return None
        return self.size + self.max_overflow


class PoolLine(NamedTuple):
    """A pool's number, and its settings."""

    number: int
    settings: PoolSettings


class ConnectionLine(NamedTuple):
    """A DBAPI connection was opened; `at` is None when it was open before the recorder began. `server` is `db1:5432/shop`."""

    number: int
    pool: int
    at: int | None
    took_us: int | None
    session: int | None
    driver: str
    server: str
    overflow: bool
    because: str | None


class Row(NamedTuple):
    """One finished checkout."""

    arrival: int
    wait_us: int
    use_us: int
    site: int
    connection: int
    thread: int


class OpenLine(NamedTuple):
    """A checkout that was still out when it was written."""

    number: int
    at: int
    wait_us: int
    site: int
    connection: int
    thread: int
    thread_name: str


class HeldLine(NamedTuple):
    """An open checkout has passed leak_after."""

    number: int
    at: int


class ClosedLine(NamedTuple):
    """An open checkout ended: `returned`, `garbage-collected`, `detached` or `lost`; `site` is where it was returned."""

    number: int
    use_us: int
    how: str
    site: int | None


class HolderCells(NamedTuple):
    """A connection that was held at a pool timeout."""

    site: int
    held_us: int
    connection: int
    thread: int


class TimeoutLine(NamedTuple):
    """`pool_timeout` ran out, and who held what at that moment; `more` holders are not named."""

    at: int
    pool: int
    site: int
    wait_us: int
    thread: int
    holders: tuple[HolderCells, ...]
    more: int


class FailedLine(NamedTuple):
    """Another error (the name of its class) instead of a connection."""

    at: int
    pool: int
    site: int
    wait_us: int
    error: str


class EventLine(NamedTuple):
    """`close`, `invalidate`, `soft-invalidate` or `detach` of a connection."""

    event: str
    at: int
    connection: int
    error: str | None


class LostLine(NamedTuple):
    """So many finished checkouts were not written."""

    checkouts: int
    at: int


class DisabledLine(NamedTuple):
    """The recorder stopped itself."""

    why: str
    at: int


class EndLine(NamedTuple):
    """The process ended orderly."""

    at: int
    how: str


Record: TypeAlias = (
    Header
    | SiteLine
    | PoolLine
    | ConnectionLine
    | Row
    | OpenLine
    | HeldLine
    | ClosedLine
    | TimeoutLine
    | FailedLine
    | EventLine
    | LostLine
    | DisabledLine
    | EndLine
)
