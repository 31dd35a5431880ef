"""Busy sessions counted by client process, look after look: what a sampled demand is made of."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from dbdoctor.history.spared import why_spared
from dbdoctor.model.demand import Samples
from dbdoctor.model.session import ABORTED, ACTIVE, CLIENT, IDLE_IN_TRANSACTION, Session
from dbdoctor.model.snapshot import Snapshot

_BUSY = frozenset({ACTIVE, IDLE_IN_TRANSACTION, ABORTED})
_SLOW = 0.25  # of the interval: a look usually takes milliseconds
_OURS = "dbdoctor"
_SATURATED = (
    "the server's machine was saturated: sessions that were busy may not have been seen, sample again when it is not"
)


class Seen(NamedTuple):
    """What sampling gave; `notes` are for people. `samples` is None when no session of the application was busy."""

    samples: Samples | None
    notes: tuple[str, ...]


class Tally:
    """One login's busy sessions by client process: a list of counts for each, one for each look.

    Where the process cannot be seen, the client's address must do; `processes` says how many processes share it, to whom
    its busy sessions are dealt by chance (seeded), as a load balancer deals requests.
    """

    def __init__(self, processes: int) -> None:
        self.counts: dict[Hashable, list[int]] = {}
        self.dealt = False
        self.hidden = False
        self._processes = processes
        self._random = random.Random(0)  # noqa: S311 - a deal, no secret

    def add(self, look: int, sessions: list[tuple[Session, int | None]]) -> None:
        """The look of this number: the sessions, each with its process where that is known."""
        busy: Counter[Hashable] = Counter()
        for session, process in sessions:
            self.hidden = self.hidden or session.state is None
            busy[self._key(session, process)] += session.state in _BUSY
        for key in {*busy, *self.counts}:
            counts = self.counts.setdefault(key, [])
            counts += [0] * (look - len(counts))
            counts.append(busy[key])

    @property
    def busy(self) -> int:
        """All that was counted, as a measure of which login is the application's."""
        return sum(map(sum, self.counts.values()))

    def _key(self, session: Session, process: int | None) -> Hashable:
        if process is not None or self._processes == 1:
            return session.client, process
        self.dealt = True
        return session.client, f"one of {self._processes}", self._random.randrange(self._processes)


class Counts:
    """The busy sessions in one database by login; `seen` chooses ours, or the busiest where ours has none."""

    def __init__(self, user: str | None, database: str | None, processes: int, interval: float) -> None:
        self._user, self._database = user, database
        self._processes = max(1, processes)
        self._interval = interval
        self._tallies: dict[str | None, Tally] = {}
        self._took: list[float] = []

    def add(self, snapshot: Snapshot) -> None:
        """One more look."""
        by_login: dict[str | None, list[tuple[Session, int | None]]] = defaultdict(list)
        for session in snapshot.sessions:
            if self._counts_for_us(session, snapshot):
                process = snapshot.processes.get(session.id)
                by_login[session.user].append((session, session.process if process is None else process.pid))
        for login in {*by_login, *self._tallies}:
            tally = self._tallies.setdefault(login, Tally(self._processes))
            tally.add(len(self._took), by_login.get(login, []))
        self._took.append(snapshot.took)

    def seen(self, *, saturated: bool) -> Seen:
        """All of it. `saturated` says that the server's machine was; slow answers say so, too."""
        login = self._login()
        tally = self._tallies.get(login)
        if tally is None or not tally.busy:
            who = f"{self._user or 'this login'} in {self._database or 'this database'}"
            notes = (f"no busy session of {who} was seen in {len(self._took)} looks",)
            return Seen(None, (*notes, _SATURATED) if saturated or self._is_slow else notes)
        counts = tuple(map(tuple, tally.counts.values()))
        samples = Samples(counts, self._interval, saturated or self._is_slow)
        return Seen(samples, tuple(self._notes(login, tally)))

    @property
    def _is_slow(self) -> bool:
        """Whether a look usually took so long that the server's machine must be busy."""
        return bool(self._took) and sorted(self._took)[len(self._took) // 2] > _SLOW * self._interval

    def _login(self) -> str | None:
        ours = self._tallies.get(self._user)
        if ours is not None and ours.busy:
            return self._user
        return max(self._tallies, key=lambda login: self._tallies[login].busy, default=None)

    def _notes(self, login: str | None, tally: Tally) -> Iterator[str]:
        if login != self._user:
            yield f"no busy session of {self._user or 'this login'} was seen: those of {login} are counted, the busiest there"
        if tally.dealt:
            yield (
                "which process a session belongs to cannot be seen from here: those of a client's address were dealt to "
                f"its {self._processes} processes by chance"
            )
        if tally.hidden:
            yield "some sessions' states are hidden from this login, and count as idle"

    def _counts_for_us(self, session: Session, snapshot: Snapshot) -> bool:
        if session.database != self._database or session.kind != CLIENT or session.application == _OURS:
            return False
        return why_spared(session, snapshot.processes.get(session.id)) is None
