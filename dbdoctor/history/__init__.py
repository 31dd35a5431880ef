"""Snapshots over time: sessions' lives, the pools they would belong to, and what must still be asked. Pure.

    history = History(options)
    history.wanted(snapshot)   what to ask in addition before adding it
    history.add(snapshot)      the next sample
    history.gap(gap)           nobody could look in between: what is gone afterwards did not "drop"

It holds one entry a living session and a bounded number of points a group, however long one watches.
"""

from __future__ import annotations

from collections import Counter, deque

from dbdoctor.history.asking import Asking
from dbdoctor.history.life import Life
from dbdoctor.history.pool import PoolHistory
from dbdoctor.history.series import Series
from dbdoctor.history.spared import why_spared
from dbdoctor.model.leaks import GROUP_BY, GroupKey, Observed, WatchOptions
from dbdoctor.model.server import Missing, Slots
from dbdoctor.model.session import CLIENT, ClientProcess, Identity, Session, Waiter
from dbdoctor.model.snapshot import EndedSessions, Gap, PreparedTransaction, ReplicationSlot, Snapshot, Wanted

__all__ = ["History", "Life", "PoolHistory"]

_MOST_GAPS = 100
# A pool without sessions is forgotten after this (seconds), unless something was found in it.
_FORGET_AFTER = 120.0
# Points from which a trend is measured.
_TREND_POINTS = 120


class History:
    """What was seen of one server so far. Times are the server's clock (Unix seconds)."""

    def __init__(self, options: WatchOptions | None = None) -> None:
        self.options = options or WatchOptions()
        self.first_at: float | None = None
        self.at = 0.0
        self.samples = 0
        self.gaps: deque[Gap] = deque(maxlen=_MOST_GAPS)
        self.lives: dict[Identity, Life] = {}
        self.pools: dict[GroupKey, PoolHistory] = {}
        self.slots: Slots | None = None
        self.waiters: tuple[Waiter, ...] = ()
        self.blocked_since: dict[int, float] = {}
        self.prepared: tuple[PreparedTransaction, ...] = ()
        self.replication_slots: tuple[ReplicationSlot, ...] = ()
        self.ended_first: EndedSessions | None = None
        self.ended: EndedSessions | None = None
        self.missing: dict[Missing, None] = {}
        self.hidden = 0
        self.holds = False
        self.series: dict[GroupKey, Series] = {}
        self.counts: dict[GroupKey, deque[tuple[float, int]]] = {}
        # So that thousands of sessions of one application share them; emptied with the pools that nobody is in.
        self._keys: dict[tuple[str | None, str | None, str | None, str | None, int | None], GroupKey] = {}
        self._spared: dict[tuple[str | None, str | None], str | None] = {}
        self._gone: frozenset[int] = frozenset()
        self._watching_since = 0.0
        self._after_gap = True

    @property
    def observed(self) -> Observed:
        """From when to when, how often, and where nobody could look."""
        first = self.first_at if self.first_at is not None else self.at
        blind = sum(gap.until - gap.since for gap in self.gaps)
        interval = max(0.0, self.at - first - blind) / (self.samples - 1) if self.samples > 1 else 0.0
        return Observed(first, self.at, self.samples, interval, tuple(self.gaps))

    def gap(self, gap: Gap) -> None:
        """Nobody could look: sessions missing afterwards did not close before our eyes, and new ones did not open."""
        self.gaps.append(gap)
        self._after_gap = True
        for series in self.series.values():
            series.add(None)

    def wanted(self, snapshot: Snapshot) -> Wanted:
        """The sessions that need an explanation which we do not have yet, and whether somebody waits for a lock."""
        return Asking(self, snapshot).wanted()

    def add(self, snapshot: Snapshot) -> None:
        """The next sample."""
        if self.first_at is None:
            self.first_at = snapshot.at
        while_watching = not self._after_gap
        if self._after_gap:
            self._watching_since = snapshot.at
            self.counts.clear()
        self._after_gap = False
        self.at = snapshot.at
        self.samples += 1
        self._take_facts(snapshot)
        self._see(snapshot, while_watching=while_watching)
        self._end(snapshot, while_watching=while_watching)
        for pool in self.pools.values():
            pool.settle(snapshot.at, self.first_at)
        self._count(snapshot.at)
        self._forget(snapshot.at)

    def display_key(self, key: GroupKey) -> GroupKey:
        """The group that a pool is shown in, by the words asked for."""
        chosen = self.options.group_by
        if len(chosen) == len(GROUP_BY):
            return key
        return GroupKey(**{name: getattr(key, name) for name in chosen})

    def _see(self, snapshot: Snapshot, *, while_watching: bool) -> None:
        lives, at, threshold = self.lives, snapshot.at, self.options.idle_in_transaction
        for session in snapshot.sessions:
            identity = (session.id, session.started_at)
            life = lives.get(identity)
            if life is None:
                life = self._begin(session, snapshot)
                self._pool_of(life).open(life, while_watching=while_watching)
            else:
                life.see(session, at, threshold)
                if life.is_nameless and session.user is not None:
                    self._rename(life, snapshot)
        self._attach(snapshot)
        self._hold(snapshot)

    def _begin(self, session: Session, snapshot: Snapshot) -> Life:
        process = snapshot.processes.get(session.id)
        pid = process.pid if process is not None else session.process
        whose = (session.application, session.user, session.database, session.client, pid)
        key = self._keys.get(whose)
        if key is None:
            key = self._keys[whose] = GroupKey(*whose)
        spared = why_spared(session, process) if process or session.kind != CLIENT else self._why_spared(session)
        life = self.lives[(session.id, session.started_at)] = Life(session, snapshot.at, key, process, spared)
        return life

    def _why_spared(self, session: Session) -> str | None:
        whose = (session.application, session.user)
        if whose not in self._spared:
            self._spared[whose] = why_spared(session, None)
        return self._spared[whose]

    def _pool_of(self, life: Life) -> PoolHistory:
        pool = self.pools.get(life.key)
        if pool is None:
            pool = self.pools[life.key] = PoolHistory(life.key)
        return pool

    def _attach(self, snapshot: Snapshot) -> None:
        """What was asked in addition goes to the lives it is about."""
        if not (
            snapshot.details or snapshot.processes or snapshot.clients_gone or snapshot.pooled_clients or self._gone
        ):
            return
        told = {*snapshot.details, *snapshot.processes, *snapshot.clients_gone, *snapshot.pooled_clients}
        gone = self._gone - snapshot.clients_gone
        for session in snapshot.sessions:
            number = session.id
            if number in told:
                self._tell(self.lives[session.identity], snapshot)
            elif number in gone:
                self.lives[session.identity].client_gone = 0
        self._gone = snapshot.clients_gone

    def _hold(self, snapshot: Snapshot) -> None:
        """What recorders say holds for this sample only."""
        holdings = snapshot.holdings
        if not holdings and not self.holds:
            return
        self.holds = bool(holdings)
        for session in snapshot.sessions:
            self.lives[session.identity].holding = holdings.get(session.id)

    def _tell(self, life: Life, snapshot: Snapshot) -> None:
        number = life.session.id
        if (detail := snapshot.details.get(number)) is not None:
            life.tell(detail)
        if (client := snapshot.pooled_clients.get(number)) is not None:
            life.pooled_client = client
        life.client_gone = life.client_gone + 1 if number in snapshot.clients_gone else 0
        process = snapshot.processes.get(number)
        if process is not None and life.process is not process and life.process != process:
            self._move(life, process)

    def _rename(self, life: Life, snapshot: Snapshot) -> None:
        """It was still logging in when we first saw it, and belonged to nobody."""
        session = life.session
        self.pools[life.key].lives.pop(session.identity, None)
        life.key = life.key._replace(application=session.application, user=session.user, database=session.database)
        life.spared = why_spared(session, life.process)
        began = session.started_at or snapshot.at
        self._pool_of(life).open(life, while_watching=began > self._watching_since)

    def _move(self, life: Life, process: ClientProcess) -> None:
        """Its process became known only now: it belongs to another pool than we thought."""
        life.process = process
        life.spared = why_spared(life.session, process)
        if life.key.process == process.pid:
            return
        before = self._pool_of(life)
        before.lives.pop(life.session.identity, None)
        life.key = life.key._replace(process=process.pid)
        started = life.session.started_at
        born = started is not None and started > self._watching_since
        self._pool_of(life).open(life, while_watching=born)
        if born and before.opened:
            before.opened -= 1

    def _end(self, snapshot: Snapshot, *, while_watching: bool) -> None:
        at = snapshot.at
        if len(self.lives) == len(snapshot.sessions):
            return
        gone: dict[GroupKey, list[Life]] = {}
        for life in [life for life in self.lives.values() if life.seen != at]:
            del self.lives[life.session.identity]
            gone.setdefault(life.key, []).append(life)
        for key, ended in gone.items():
            pool = self.pools[key]
            pool.close(ended, at, while_watching=while_watching)
            if not pool.lives:
                pool.empty_since = at

    def _count(self, at: float) -> None:
        counted: Counter[GroupKey] = Counter()
        for key, pool in self.pools.items():
            counted[self.display_key(key)] += len(pool.lives)
        for key, number in counted.items():
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = Series()
            series.add(number)
            self.counts.setdefault(key, deque(maxlen=_TREND_POINTS)).append((at, number))

    def _forget(self, at: float) -> None:
        old = [
            key
            for key, pool in self.pools.items()
            if pool.empty_since is not None and at - pool.empty_since > _FORGET_AFTER
        ]
        if not old:
            return
        for key in old:
            del self.pools[key]
            self._keys.pop(key, None)
        self._spared.clear()
        alive = {self.display_key(key) for key in self.pools}
        for shown in [shown for shown in self.series if shown not in alive]:
            del self.series[shown]
            self.counts.pop(shown, None)

    def _take_facts(self, snapshot: Snapshot) -> None:
        self.slots = snapshot.slots or self.slots
        self.waiters = snapshot.waiters
        self.hidden = sum(1 for session in snapshot.sessions if session.hidden)
        blocked = {waiter.id: waiter.since if waiter.since is not None else snapshot.at for waiter in snapshot.waiters}
        self.blocked_since = {one: min(since, self.blocked_since.get(one, since)) for one, since in blocked.items()}
        if snapshot.prepared is not None:
            self.prepared = snapshot.prepared
        if snapshot.replication_slots is not None:
            self.replication_slots = snapshot.replication_slots
        if snapshot.ended is not None:
            self.ended_first = self.ended_first or snapshot.ended
            self.ended = snapshot.ended
        for missing in snapshot.missing:
            self.missing[missing] = None
