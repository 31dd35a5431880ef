"""What to ask of a snapshot in addition: which sessions need an explanation that nobody has given yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dbdoctor.history.pool import passed_over
from dbdoctor.model.session import ABORTED, IDLE, IDLE_IN_TRANSACTION, Session
from dbdoctor.model.snapshot import Snapshot, Wanted

if TYPE_CHECKING:
    from dbdoctor.history import History

# Of sessions passed over, so many of each pool are asked for their last statement: they are all alike.
_MOST_ASKED = 10
# A two-phase transaction is its session's when both were last heard of at the same time (seconds).
_SAME_TIME = 2.0


class Asking:
    """The questions about one snapshot that is about to be added to a history."""

    def __init__(self, history: History, snapshot: Snapshot) -> None:
        self._history = history
        self._snapshot = snapshot
        self._ids: list[int] = []

    def wanted(self) -> Wanted:
        """The sessions to ask about, each once, and whether somebody waits for a lock."""
        waiting = self._ask_idle_in_transaction()
        self._ask_passed_over()
        self._ask_held()
        self._ask_prepared()
        self._ask_blockers()
        return Wanted(tuple(dict.fromkeys(self._ids)), waiting or self._history.hidden > 0)

    def _ask_idle_in_transaction(self) -> bool:
        """Those that have been so for long; gives whether anybody waits for a lock."""
        at, least = self._snapshot.at, self._history.options.idle_in_transaction
        waiting = bool(self._snapshot.waiters)
        for session in self._snapshot.sessions:
            if session.state in (IDLE_IN_TRANSACTION, ABORTED):
                if session.changed_at is not None and at - session.changed_at >= least:
                    self._ask(session)
                elif session.transaction_at is not None and at - session.transaction_at >= least:
                    self._ask_once(session)
            elif session.waits_for == "Lock":
                waiting = True
        return waiting

    def _ask_blockers(self) -> None:
        blockers = {blocker for waiter in self._history.waiters for blocker in waiter.blocked_by}
        for session in self._snapshot.sessions if blockers else ():
            if session.id in blockers:
                self._ask(session)

    def _ask(self, session: Session) -> None:
        life = self._history.lives.get(session.identity)
        if life is None or life.detail is None or life.detail.changed_at != session.changed_at:
            self._ids.append(session.id)

    def _ask_once(self, session: Session) -> None:
        """A long transaction that goes on: what it does is asked once, whether it fetches from a cursor."""
        life = self._history.lives.get(session.identity)
        if life is None or life.told is None:
            self._ids.append(session.id)

    def _ask_passed_over(self) -> None:
        if self._history.samples:
            pools = self._history.pools.values()
            living: Iterable[Session] = (life.session for pool in pools for life in pool.passed_over[:_MOST_ASKED])
        else:
            living = self._passed_over_at_first()
        for session in living:
            self._ask(session)

    def _ask_held(self) -> None:
        """Who keeps a connection for long and does nothing may listen, or hold a lock: that is to be known first."""
        holdings, at = self._snapshot.holdings, self._snapshot.at
        for session in self._snapshot.sessions if holdings else ():
            holding = holdings.get(session.id)
            if holding is not None and session.state == IDLE and holding.is_held_too_long(at):
                self._ask(session)

    def _passed_over_at_first(self) -> Iterable[Session]:
        snapshot = self._snapshot
        pools: dict[object, list[Session]] = {}
        for session in snapshot.sessions:
            process = snapshot.processes.get(session.id)
            pid = process.pid if process is not None else session.process
            whose = (session.application, session.user, session.database, session.client, pid)
            pools.setdefault(whose, []).append(session)
        for sessions in pools.values():
            if len(sessions) >= 3:
                yield from (sessions[place] for place in passed_over(sessions, snapshot.at, 0.0)[:_MOST_ASKED])

    def _ask_prepared(self) -> None:
        """A two-phase transaction belongs to no session; the one whose last statement prepared it is asked for it."""
        told = self._snapshot.prepared
        prepared = told if told is not None else self._history.prepared
        if not prepared:
            return
        for session in self._snapshot.sessions:
            if session.state == IDLE and session.changed_at is not None:
                since = session.changed_at
                if any(abs(since - one.prepared_at) < _SAME_TIME for one in prepared):
                    self._ask(session)
