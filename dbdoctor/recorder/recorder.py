"""What the recorder knows: open checkouts, finished ones on their way to the file, and rare events.

The application's threads only append to deques and set keys of dictionaries, which are atomic; they take no lock and do no
I/O. A thread of the recorder's own (`writer.py`) carries it to the file. Times are those of `perf_counter_ns`.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections import deque
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.recorder.faults import is_applications, place_of
from dbdoctor.recorder.sites import Sites, task_name

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FINISHED = 100_000  # checkouts that wait for the writer; more are counted as lost
MOST_EVENTS = 10_000
_MOST_DEFINITIONS = 100_000  # of pools and connections, without which rows say less
MOST_HOLDERS = 20  # named beside a pool_timeout
_EVENTS_WITH_HOLDERS = 1000

RETURNED = "returned"
GARBAGE = "garbage-collected"
DETACHED = "detached"
LOST = "lost"


class Settings(NamedTuple):
    """How to record."""

    out: str  # the directory of the files
    leak_after: float = 60.0  # seconds after which a checkout is reported
    sample: float = 1.0  # the share of checkouts that is recorded, 0 to 1
    most_bytes: int = 64 * 1024 * 1024  # of the files of one process together
    tell: bool = False  # whether reports go to the program's own log as well


class Entry(NamedTuple):
    """The fields of an open checkout. The hot path makes plain tuples of this order, which are four times as fast."""

    asked: int
    got: int
    site: int
    connection: int
    thread: int
    fairy: Any  # SQLAlchemy's own weak reference
    task: str | None


class Finished(NamedTuple):
    """The fields of a finished checkout.

    An ordinary one is a tuple of the first six: whole numbers alone, with which the garbage collector has nothing to do.
    """

    asked: int
    got: int
    back: int
    site: int
    connection: int
    thread: int
    how: str = RETURNED
    returned_at: int | None = None  # a site
    task: str | None = None


class Recorder:
    """Everything recorded in this process that is not yet in the file."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.leak_after = int(settings.leak_after * 1e9)
        self.off = False
        self.only: weakref.WeakSet[Any] | None = None  # the pools to record; None: all
        self.disabled: str | None = None
        self.on_disabled: Callable[[], None] = _nothing
        self.sites = Sites()
        self.opened: dict[int, tuple[Any, ...]] = {}  # by id of the connection record
        self.finished: deque[tuple[Any, ...]] = deque()
        self.events: deque[tuple[Any, ...]] = deque()
        self.connections: dict[int, int] = {}  # the number of the connection that a record holds now
        self.pool_of: dict[int, int] = {}  # by connection
        self.pools: dict[int, int] = {}  # numbers by id
        self._references: dict[tuple[str, int], weakref.ref[Any]] = {}  # tell when a pool or a record is collected
        self.begin()

    def begin(self) -> None:
        """Start with nothing, as after a fork: what the parent holds is the parent's. The hooks keep the containers."""
        self.asleep = True  # the writer's thread does not run yet
        self.zero = time.perf_counter_ns()
        self.began = time.time()
        self.process = os.getpid()
        for numbers in (self.connections, self.pool_of, self.pools, self._references, self.opened):
            numbers.clear()
        self.finished.clear()
        self.events.clear()
        self.lost = 0
        self._next_pool = count(1)
        self._next_connection = count(1)

    def wants(self, pool: Any) -> bool:
        """Whether this pool is to be recorded."""
        try:
            return self.only is None or pool in self.only
        except TypeError:  # a pool of the application's own that cannot be told from others
            return False

    def pool_number(self, pool: Any) -> int:
        """The pool's number; an event tells of it the first time."""
        key = id(pool)
        number = self.pools.get(key)
        if number is None:
            mine = next(self._next_pool)
            number = self.pools.setdefault(key, mine)
            if number == mine:
                self._references["pool", number] = weakref.ref(pool, partial(self._pool_gone, key, number))
            # Whoever did not know it tells of it, so that no connection is told of before its pool.
            self.tell(("pool", number, _described(pool)))
        return number

    def connection_number(self, record: Any, pool: Any, details: dict[str, Any]) -> int:
        """Give a DBAPI connection a number, and tell of it."""
        key = id(record)
        before = self.forget_connection(key)
        if before is not None:  # one whose end SQLAlchemy did not tell
            self._tell_collected(before)
        number = next(self._next_connection)
        pool_number = self.pool_number(pool)
        self.pool_of[number] = pool_number
        self._references["connection", number] = weakref.ref(record, partial(self._record_gone, key, number))
        self.connections[key] = number
        self.tell(("connection", number, pool_number, details))
        return number

    def open_in(self, pool: Any) -> int:
        """How many connections the pool has open, as far as was told."""
        return list(self.pool_of.values()).count(self.pool_number(pool))

    def forget_connection(self, key: int) -> int | None:
        """The number that the connection of the record with this id had, which ended."""
        number = self.connections.pop(key, None)
        if number is not None:
            self.pool_of.pop(number, None)
            self._references.pop(("connection", number), None)
        return number

    def _record_gone(self, key: int, number: int, _reference: object) -> None:
        # With an engine that nobody disposed of: its connections end with it, and no event tells.
        try:
            if self.connections.get(key) == number:
                self.forget_connection(key)
                self._tell_collected(number)
        except Exception as error:
            self.disable(error)

    def _pool_gone(self, key: int, number: int, _reference: object) -> None:
        try:
            if self.pools.get(key) == number:
                del self.pools[key]
            self._references.pop(("pool", number), None)
            self.tell(("gone", number))
        except Exception as error:
            self.disable(error)

    def _tell_collected(self, number: int) -> None:
        self.tell(("event", "close", time.perf_counter_ns(), number, None))

    def tell(self, event: tuple[Any, ...]) -> None:
        """Leave something rare for the writer."""
        most = _MOST_DEFINITIONS if event[0] in ("pool", "connection", "gone") else MOST_EVENTS
        if len(self.events) < most and not self.off:
            self.events.append(event)

    def finish(self, entry: tuple[Any, ...], at: int, how: str, site: int | None = None) -> None:
        """An end of a checkout that is not an ordinary one."""
        if len(self.finished) < MOST_FINISHED:
            self.finished.append((*entry[:2], at, *entry[2:5], how, site, entry[6]))
        else:
            self.lost += 1

    def replaced(self, record: Any, at: int) -> None:
        """A record is checked out although it is out already: its first end was not seen (StaticPool shares one record)."""
        entry = self.opened.pop(id(record), None)
        if entry is not None:
            self.finish(entry, at, LOST)

    def holders(self, pool_number: int, at: int) -> tuple[list[list[int]], int]:
        """Who holds this pool's connections: site, nanoseconds, connection, thread; the longest first, and how many more."""
        entries = [Entry(*one) for one in list(self.opened.values())]
        held = [
            [one.site, at - one.got, one.connection, one.thread]
            for one in entries
            if self.pool_of.get(one.connection) == pool_number
        ]
        held.sort(key=lambda one: -one[1])
        return held[:MOST_HOLDERS], max(0, len(held) - MOST_HOLDERS)

    def wants_holders(self) -> bool:
        """Whether there is room for who held what, at a pool_timeout."""
        return len(self.events) < _EVENTS_WITH_HOLDERS

    def task(self) -> str | None:
        """The asyncio task that runs here."""
        return task_name()

    def blame(self, error: Exception) -> None:
        """Stop recording for this error of a hook's; but one that is the application's is raised again."""
        if is_applications(error):
            raise error
        self.disable(error)

    def disable(self, error: BaseException) -> None:
        """Stop recording for good; the program goes on as without a recorder."""
        self.disable_for(f"{type(error).__name__}{place_of(error)}")

    def disable_for(self, why: str) -> None:
        """The same, with the reason in words."""
        if self.off:
            return
        self.off = True
        self.disabled = why
        self.opened.clear()
        self.finished.clear()
        self.events.clear()
        try:
            self.on_disabled()
        except Exception:  # then the end of the process says it
            pass


def _nothing() -> None:
    pass


def _described(pool: Any) -> dict[str, Any]:
    reset = getattr(pool, "_reset_on_return", None)
    return {
        "class": type(pool).__name__[:200],
        "size": _whole(getattr(getattr(pool, "_pool", None), "maxsize", None)),
        "max_overflow": _whole(getattr(pool, "_max_overflow", None)),
        "timeout_seconds": _number(getattr(pool, "_timeout", None)),
        "recycle_seconds": _number(getattr(pool, "_recycle", None)),
        "pre_ping": bool(getattr(pool, "_pre_ping", False)),
        "lifo": getattr(getattr(pool, "_pool", None), "use_lifo", None),
        "reset_on_return": getattr(reset, "name", "").replace("reset_", "") or None,
    }


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def program_name() -> str:
    """The base name of what runs; never its arguments, in which secrets may stand."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""
    return os.path.basename(name)[:200] or "python"
