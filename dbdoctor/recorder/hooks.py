"""What SQLAlchemy calls: around `Pool.connect`, and at the pool's events.

Every function here runs in the application's threads, with its locks held perhaps: short, no I/O, and no exception but the
application's own leaves it. The first error of ours turns the recorder off.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from random import random
from typing import Any

from dbdoctor.recorder.drivers import driver_of, server_of, session_of
from dbdoctor.recorder.faults import is_applications
from dbdoctor.recorder.recorder import DETACHED, GARBAGE, MOST_FINISHED, RETURNED, Recorder

_now = time.perf_counter_ns
_frame = sys._getframe
_KEY = "dbdoctor"  # in a record's `record_info`: when its last connection was opened, and how it ended

Connect = Callable[[Any], Any]


def around_connect(recorder: Recorder, original: Connect, wake: Callable[[], None]) -> Connect:
    """`Pool.connect` that also records: when it was asked for, when it was given, and from where."""
    # As locals, and in one function: this runs at every checkout.
    opened, here, sample = recorder.opened, recorder.sites.here, recorder.settings.sample
    numbers = recorder.connections
    from threading import get_ident  # gevent's, when the program has put it there by now

    def connect(self: Any) -> Any:
        if recorder.off or not (recorder.only is None or recorder.wants(self)):
            return original(self)
        asked = _now()
        try:
            fairy = original(self)
        except BaseException as error:
            try:
                _not_given(recorder, self, asked, error, get_ident(), wake)
            except RecursionError:
                pass  # the error that the program gets is the one that it had without us
            except Exception as fault:
                recorder.blame(fault)
            raise
        got = _now()
        try:
            if sample < 1 and random() >= sample:  # noqa: S311 - a sample, not a secret
                return fairy
            site = here(_frame(1))
            record = fairy._connection_record
            key = id(record)
            if site < 0 or key in opened or key not in numbers:
                _given(recorder, self, record, (asked, got, site, get_ident()))
            else:
                opened[key] = (asked, got, site, numbers[key], get_ident(), record.fairy_ref, None)
            if recorder.asleep:
                wake()
        except RecursionError:  # the program is near its limit, which is no fault of ours
            recorder.lost += 1
        except Exception as error:
            recorder.blame(error)
        return fairy

    return functools.wraps(original)(connect)


def _given(recorder: Recorder, pool: Any, record: Any, told: tuple[int, int, int, int]) -> None:
    """A checkout with something new about it: its site, its connection, or its task; or one of a record that is out already."""
    asked, got, site, thread = told
    opened, key, reference = recorder.opened, id(record), record.fairy_ref
    if key in opened:
        if opened[key][5] is reference:  # SingletonThreadPool gives a thread the checkout that it has
            return
        recorder.replaced(record, got)
    task = None
    if site < 0:
        site = recorder.sites.outside(_frame(2), site)
        task = recorder.task()
    connection = recorder.connections.get(key)
    if connection is None:
        connection = recorder.connection_number(record, pool, _details(record.dbapi_connection, None, None, False))
    opened[key] = (asked, got, site, connection, thread, reference, task)


def _not_given(
    recorder: Recorder, pool: Any, asked: int, error: BaseException, thread: int, wake: Callable[[], None]
) -> None:
    at = _now()
    site = recorder.sites.outside(_frame(2))
    number = recorder.pool_number(pool)
    name = type(error).__name__[:100]
    if name == "TimeoutError" and type(error).__module__.startswith("sqlalchemy"):
        held, more = recorder.holders(number, at) if recorder.wants_holders() else ([], 0)
        recorder.tell(("timeout", at, number, site, at - asked, thread, held, more))
    else:
        recorder.tell(("failed", at, number, site, at - asked, name))
    if recorder.asleep:
        wake()


def _details(connection: Any, at: int | None, took: float | None, overflow: bool, because: str | None = None) -> Any:  # noqa: FBT001 - a field
    return {
        "at": at,
        "took": took,
        "session": session_of(connection),
        "driver": driver_of(connection),
        "server": server_of(connection),
        "overflow": overflow,
        "because": because,
    }


class Listeners:
    """The pool's events; each method bears the event's name and has its arguments."""

    def __init__(self, recorder: Recorder, wake: Callable[[], None]) -> None:
        self._recorder = recorder
        self._wake = wake

    def checkin(self, _connection: Any, record: Any) -> None:
        """A checkout has ended."""
        back = _now()
        recorder = self._recorder
        entry = recorder.opened.pop(id(record), None)
        if entry is None:
            return
        try:
            if entry[5]() is None:
                recorder.finish(entry, back, GARBAGE)
            elif back - entry[1] > recorder.leak_after:
                recorder.finish(entry, back, RETURNED, recorder.sites.outside(_frame(1)))
            elif len(recorder.finished) < MOST_FINISHED:
                asked, got, site, connection, thread, _, _ = entry
                recorder.finished.append((asked, got, back, site, connection, thread))
            else:
                recorder.lost += 1
        except RecursionError:
            recorder.lost += 1
        except Exception as error:
            recorder.blame(error)

    def connect(self, connection: Any, record: Any) -> None:
        """A DBAPI connection was opened."""
        self._guarded(self._connected, connection, record)

    def close(self, _connection: Any, record: Any) -> None:
        """One was closed."""
        self._guarded(self._ended, "close", record, None)

    def invalidate(self, _connection: Any, record: Any, error: BaseException | None) -> None:
        """One was found broken."""
        self._guarded(self._ended, "invalidate", record, error)

    def soft_invalidate(self, _connection: Any, record: Any, error: BaseException | None) -> None:
        """One will be replaced when it is next asked for."""
        self._guarded(self._ended, "soft-invalidate", record, error)

    def detach(self, _connection: Any, record: Any) -> None:
        """One was taken away from its pool for good."""
        self._guarded(self._ended, "detach", record, None)

    def _guarded(self, what: Callable[..., None], *arguments: Any) -> None:
        if self._recorder.off:
            return
        try:
            what(*arguments)
        except RecursionError:
            pass
        except Exception as error:
            self._recorder.blame(error)

    def _connected(self, connection: Any, record: Any) -> None:
        recorder = self._recorder
        pool = _pool_of(record)
        if pool is None or not recorder.wants(pool):
            return
        before = record.record_info.get(_KEY)
        because = _because(pool, before, record.starttime)
        record.record_info[_KEY] = (record.starttime, None)
        # SQLAlchemy sets `starttime` just before it calls the driver.
        took = max(0.0, time.time() - record.starttime)
        recorder.connection_number(
            record, pool, _details(connection, _now(), took, _is_overflow(recorder, pool), because)
        )
        if recorder.asleep:
            self._wake()

    def _ended(self, event: str, record: Any, error: BaseException | None) -> None:
        recorder, at = self._recorder, _now()
        if record is None:
            return
        is_over = event != "soft-invalidate"
        number = recorder.forget_connection(id(record)) if is_over else recorder.connections.get(id(record))
        if number is None:
            return
        if event == "detach":
            entry = recorder.opened.pop(id(record), None)
            if entry is not None:
                recorder.finish(entry, at, DETACHED)
            record.record_info.pop(_KEY, None)
        before = record.record_info.get(_KEY)
        if before is not None and event != "close":
            record.record_info[_KEY] = (before[0], event)
        recorder.tell(("event", event, at, number, None if error is None else type(error).__name__[:100]))


def _because(pool: Any, before: tuple[float, str | None] | None, now: float) -> str | None:
    """Why a record opens another connection: SQLAlchemy has no event for a recycle."""
    if before is None:
        return None
    opened_at, ended = before
    if ended is None and -1 < getattr(pool, "_recycle", -1) < now - opened_at:
        return "recycle"
    return "invalidated"


def _pool_of(record: Any) -> Any:
    return getattr(record, "_ConnectionRecord__pool", None)


def _is_overflow(recorder: Recorder, pool: Any) -> bool:
    """Whether this connection, of which the recorder is to be told, is beyond the pool's size."""
    try:
        # `overflow` counts those too that are only being opened; with it alone all that start together would be.
        return bool(pool.overflow() > 0) and recorder.open_in(pool) >= pool.size()
    except Exception as error:  # most pools have none
        if is_applications(error):
            raise
        return False
