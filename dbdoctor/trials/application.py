"""The application of one trial, in a process of its own: it fills its pool, goes idle, and uses the pool again.

What it sees it tells at once, for a call of the driver may hang for ever: then the last thing told is that it began.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dbdoctor.model.trial import ErrorSeen, PoolPlan, Scenario
from dbdoctor.trials.engine import Words

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Tell = Callable[[Mapping[str, Any]], None]

# Between a failed request and the next of the same thread; the first comes at once (seconds).
_RETRY = 0.25
# A statement of a long query or transaction outlasts the idle timeout by this factor.
_LONGER = 1.5
_TICK = 0.2


class Application:
    """`threads` of the plan use one engine. `idle_for` is how long it is idle before it uses the pool again (seconds)."""

    def __init__(
        self, engine: Engine, plan: PoolPlan, words: Words, scenario: Scenario, *, idle: float, writes: bool, tell: Tell
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._words = words
        self._scenario = scenario
        self._idle = idle
        self._idle_for = idle * plan.idle_factor + plan.idle_extra
        self._writes = writes and words.harmless_write is not None
        self._told = threading.Lock()
        self._tell_out = tell
        self._began = 0.0
        self._stop = threading.Event()
        self._warm: list[int] = []
        self._held: list[int] = []

    def run(self) -> None:
        """The whole life of it; returns when every thread has been served after the fault."""
        count = self._plan.threads
        self._all_warm = threading.Barrier(count, action=self._now_idle)
        threads = [threading.Thread(target=self._thread, name=str(number), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._tell({"event": "done", "held": sorted(set(self._held))})

    # A thread of it

    def _thread(self) -> None:
        try:
            connection = self._warm_up()
        except Exception as error:  # noqa: BLE001 - whatever the driver raises
            why = f"the application's pool could not be filled: {describe(error, 'checkout').message}"
            self._tell({"event": "broken", "why": why})
            self._all_warm.abort()
            return
        try:
            self._all_warm.wait()
        except threading.BrokenBarrierError:
            return
        if connection is None:
            self._stop.wait(self._idle_for)
        round_number = 0
        while not self._request(round_number, connection):
            connection = None
            round_number += 1
            if round_number > 1:
                self._stop.wait(_RETRY)

    def _warm_up(self) -> Connection | None:
        """One connection a thread, all at the same time; it goes back, or stays checked out where the scenario says so."""
        connection = self._engine.connect()
        self._warm.append(self._session(connection))
        self._all_open()
        if self._scenario is Scenario.IDLE:
            connection.rollback()
            connection.close()
            return None
        if self._scenario is Scenario.QUERY:
            connection.rollback()
        return connection

    def _all_open(self) -> None:
        # No thread gives its connection back before each has one: else the pool would hold fewer.
        if not hasattr(self, "_opened"):
            with self._told:
                if not hasattr(self, "_opened"):
                    self._opened = threading.Barrier(self._plan.threads)
        self._opened.wait()

    def _now_idle(self) -> None:
        self._began = time.monotonic()
        if self._plan.ping_every is not None:
            threading.Thread(target=self._ping, args=(self._plan.ping_every,), daemon=True).start()
        self._tell({"event": "warm", "sessions": sorted(self._warm)})

    def _request(self, round_number: int, connection: Connection | None) -> bool:
        """One request, told when it begins and when it ends; gives whether it was served."""
        if connection is not None and self._scenario is Scenario.IN_TRANSACTION:
            self._stop.wait(self._idle_for)
        began = time.monotonic()
        key = {"thread": threading.current_thread().name, "round": round_number, "began": began - self._began}
        self._tell({"event": "start", **key})
        where = ["checkout"]
        error: ErrorSeen | None = None
        session: int | None = None
        try:
            session = self._work(connection, where)
        except Exception as raised:  # noqa: BLE001 - whatever reaches the application is what is looked for
            error = describe(raised, where[0])
        self._tell(
            {
                "event": "end",
                **key,
                "seconds": time.monotonic() - began,
                "session": session,
                "error": error._asdict() if error else None,
            }
        )
        if session is not None and error is None:
            self._held.append(session)
        return error is None

    def _work(self, connection: Connection | None, where: list[str]) -> int:
        long = connection is not None
        if connection is None:
            connection = self._engine.connect()
        try:
            where[0] = "execute"
            if long:
                self._long_work(connection)
            session = self._session(connection)
            if self._writes and self._words.harmless_write:
                connection.exec_driver_sql(self._words.harmless_write)
            where[0] = "commit"
            connection.commit()
        except BaseException:
            _close_as_with_does(connection, where)
            raise
        where[0] = "checkin"
        connection.close()
        return session

    def _long_work(self, connection: Connection) -> None:
        if self._scenario is Scenario.QUERY:
            connection.exec_driver_sql(self._words.sleep(self._idle * _LONGER))
        elif self._scenario is Scenario.TRANSACTION:
            end = time.monotonic() + self._idle * _LONGER
            while time.monotonic() < end:
                self._session(connection)
                self._stop.wait(_TICK)

    def _session(self, connection: Connection) -> int:
        return int(connection.exec_driver_sql(self._words.session).scalar() or 0)

    def _ping(self, every: float) -> None:
        """The keep-alive thread that many applications run."""
        while not self._stop.wait(every):
            try:
                with self._engine.connect() as connection:
                    self._session(connection)
                self._tell({"event": "ping"})
            except Exception as error:  # noqa: BLE001 - such threads log it and go on
                self._tell({"event": "ping", "error": _first_line(error)})

    def _tell(self, value: Mapping[str, Any]) -> None:
        with self._told:
            self._tell_out(value)


def describe(raised: Exception, where: str) -> ErrorSeen:
    """An exception as the application sees it."""
    original = getattr(raised, "orig", None)
    shown = original if isinstance(original, BaseException) else raised
    return ErrorSeen(
        type=type(raised).__name__,
        driver_type=f"{type(original).__module__.partition('.')[0]}.{type(original).__name__}" if original else None,
        sqlstate=_sqlstate(original),
        message=_first_line(shown),
        where=where,
        invalidated=getattr(raised, "connection_invalidated", None),
    )


def _sqlstate(original: object) -> str | None:
    state = getattr(original, "pgcode", None)
    if state is None and hasattr(original, "args") and len(original.args) > 1:  # pyodbc
        state = original.args[0]
    return str(state) if state else None


def _first_line(error: BaseException) -> str:
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]


def _close_as_with_does(connection: Connection, where: list[str]) -> None:
    """What this raises takes the first error's place, as at the end of `with engine.connect()` (FreeTDS's rollback does)."""
    at = where[0]
    where[0] = "checkin"
    connection.close()
    where[0] = at
