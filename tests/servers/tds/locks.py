"""Who waits for whom: locks on tables or on the rows that one WHERE picks, deadlocks, and lock timeouts.

Coarser than SQL Server's, on purpose: two statements come into each other's way when they name the same table and their
WHERE has the same words, or when one of them takes the whole table. Inserts never wait for each other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tests.servers.tds.errors import SqlError
from tests.servers.tds.sessions import Session, Wait

INSERTED = "(inserted rows)"


@dataclass(frozen=True)
class Lock:
    """What a statement needs for itself; `rows` is its WHERE, None the whole table."""

    table: str
    rows: str | None

    def conflicts(self, other: Lock) -> bool:
        """Whether two sessions cannot have both."""
        if self.table != other.table:
            return False
        if self.rows is None or other.rows is None:
            return True
        return self.rows == other.rows != INSERTED


class Locks:
    """All locks of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Session, set[Lock]] = {}
        self._wanted: dict[Session, Lock] = {}

    def acquire(self, session: Session, lock: Lock) -> None:
        """Waits for its turn; SqlError 1205 in a deadlock, 1222 after the lock timeout."""
        if self._taken(session, lock):
            return
        timeout = session.settings.lock_timeout
        try:
            session.wait = Wait("LCK_M_U", session.clock.local(), self._owner(session, lock) or 0)
            seconds = None if timeout < 0 else timeout / 1000
            if not session.channel.wait(lambda: self._taken_or_deadlocked(session, lock), seconds):
                raise SqlError(1222)
        finally:
            session.wait = None
            with self._lock:
                self._wanted.pop(session, None)

    def release(self, session: Session) -> None:
        """The session's transaction is over."""
        with self._lock:
            self._held.pop(session, None)
            waiting = list(self._wanted)
        for other in waiting:
            other.channel.wake()

    def _taken_or_deadlocked(self, session: Session, lock: Lock) -> bool:
        if self._taken(session, lock):
            return True
        owner = self._owner(session, lock)
        if session.wait is not None and owner is not None:
            session.wait = Wait(session.wait.kind, session.wait.since, owner)
        if self._in_a_circle(session):
            raise SqlError(1205, session.number)
        return False

    def _taken(self, session: Session, lock: Lock) -> bool:
        with self._lock:
            if self._blocker(session, lock) is None:
                self._held.setdefault(session, set()).add(lock)
                return True
            self._wanted[session] = lock
            return False

    def _blocker(self, session: Session, lock: Lock) -> Session | None:
        for other, held in self._held.items():
            if other is not session and any(lock.conflicts(each) for each in held):
                return other
        return None

    def _owner(self, session: Session, lock: Lock) -> int | None:
        with self._lock:
            blocker = self._blocker(session, lock)
            return None if blocker is None else blocker.number

    def _in_a_circle(self, session: Session) -> bool:
        with self._lock:
            met, current = set(), session
            while (wanted := self._wanted.get(current)) is not None and current not in met:
                met.add(current)
                following = self._blocker(current, wanted)
                if following is None:
                    return False
                if following is session:
                    return True
                current = following
            return False
