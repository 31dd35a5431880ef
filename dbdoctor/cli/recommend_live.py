"""The demand of a live server: its sessions looked at again and again, and counted by client process while they are busy."""

from __future__ import annotations

import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.errors import CannotLookError
from dbdoctor.history.spared import why_spared
from dbdoctor.model.demand import Samples
from dbdoctor.model.duration import format_duration
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.session import ABORTED, ACTIVE, IDLE_IN_TRANSACTION, Session
from dbdoctor.model.snapshot import Snapshot, Wanted
from dbdoctor.model.target import Product, Target

if TYPE_CHECKING:
    from dbdoctor.watch.postgresql_source import PostgresqlSource
    from dbdoctor.watch.sqlserver_source import SqlServerSource

INTERVAL = 0.5
_BUSY = frozenset({ACTIVE, IDLE_IN_TRANSACTION, ABORTED})
_SATURATED = 90.0  # per cent of this machine's processors, where the server runs on it
_SLOW = 0.25  # of the interval: a look usually takes milliseconds


class Seen(NamedTuple):
    """What sampling gave; `notes` are for people. `samples` is None when no session of the application was seen."""

    samples: Samples | None
    notes: tuple[str, ...]


class Counter:
    """Counts the busy sessions of one login to one database in each snapshot, by client process.

    Where the process cannot be seen, the client's address must do; `processes` says how many processes share it, to whom
    its busy sessions are dealt by chance (seeded), as a load balancer deals requests.
    """

    def __init__(self, user: str | None, database: str | None, processes: int) -> None:
        self._user, self._database = user, database
        self._processes = max(1, processes)
        self._counts: dict[Hashable, list[int]] = defaultdict(list)
        self._looks = 0
        self._took: list[float] = []
        self._dealt: set[str] = set()
        self._hidden = 0
        self._random = random.Random(0)  # noqa: S311 - a deal, no secret

    def add(self, snapshot: Snapshot) -> None:
        """One more look."""
        busy: dict[Hashable, int] = defaultdict(int)
        places: dict[str, int] = {}
        for session in snapshot.sessions:
            if not self._counts_for_us(session, snapshot):
                continue
            process = snapshot.processes.get(session.id)
            pid = session.process if process is None else process.pid
            place = str(session.client)
            if pid is None and self._processes > 1:
                self._dealt.add(place)
                places[place] = places.get(place, 0) + (session.state in _BUSY)
                continue
            busy[place, pid] += session.state in _BUSY
            self._hidden += session.state is None
        for shared, count in places.items():
            for key, dealt in self._deal(shared, count):
                busy[key] += dealt
        for key in set(busy) | set(self._counts):
            counts = self._counts[key]
            counts += [0] * (self._looks - len(counts))
            counts.append(busy.get(key, 0))
        self._looks += 1
        self._took.append(snapshot.took)

    def seen(self, *, saturated: bool) -> Seen:
        """All of it."""
        notes = []
        if self._dealt:
            notes.append(
                f"which process a session belongs to cannot be seen from here: those of a client address were dealt to its "
                f"{self._processes} processes by chance"
            )
        if self._hidden:
            notes.append("some sessions' states are hidden from this login, and count as idle")
        took = sorted(self._took)[len(self._took) // 2] if self._took else 0.0
        if not any(map(any, self._counts.values())):
            who = f"{self._user or 'this login'} in {self._database or 'this database'}"
            notes.append(f"no busy session of {who} was seen in {self._looks} looks: nothing is known of the demand")
            return Seen(None, tuple(notes))
        saturated = saturated or took > _SLOW * INTERVAL
        counts = tuple(tuple(counts) for counts in self._counts.values())
        return Seen(Samples(counts, INTERVAL, saturated), tuple(notes))

    def _counts_for_us(self, session: Session, snapshot: Snapshot) -> bool:
        if (self._user, self._database) != (session.user, session.database):
            return False
        return why_spared(session, snapshot.processes.get(session.id)) is None

    def _deal(self, place: Hashable, count: int) -> Iterable[tuple[Hashable, int]]:
        dealt = [0] * self._processes
        for _ in range(count):
            dealt[self._random.randrange(self._processes)] += 1
        return (((place, f"one of {self._processes}: {number}"), busy) for number, busy in enumerate(dealt))


def sample(
    target: Target,
    facts: ServerFacts | None,
    seconds: float,
    *,
    login_timeout: float,
    processes: int,
    near: bool,
    progress: Callable[[str], None],
) -> Seen:
    """Look for so long. Raises CannotLookError when the server is lost, or shows no sessions."""
    from dbdoctor.watch.client_side import ClientSide
    from dbdoctor.watch.loop import Loop
    from dbdoctor.watch.source import SourceLostError, SourceSlowError

    counter = Counter(facts.user if facts else target.user, facts.database if facts else target.database, processes)
    load = _Load() if near else None
    with contextlib.ExitStack() as stack:
        source = _source(target)
        stack.callback(source.close)
        client_side = ClientSide(target, lambda: facts, lambda: source.own_connection)
        stack.callback(client_side.close)
        loop = Loop(
            source,
            interval=INTERVAL,
            seconds=seconds,
            login_timeout=login_timeout,
            wanted=lambda _snapshot: Wanted(),
            enrich=client_side.enrich,
        )
        began = time.monotonic()
        try:
            for turn in loop.turns():
                if turn.snapshot is not None:
                    counter.add(turn.snapshot)
                left = max(0.0, seconds - (time.monotonic() - began))
                progress(f"sampling sessions, {format_duration(left)} left")
        except (SourceLostError, SourceSlowError) as error:
            raise CannotLookError(
                "the server was lost while its sessions were sampled",
                cause=str(error),
                help="run `dbdoctor check` on it",
            ) from None
    return counter.seen(saturated=load is not None and load.is_high())


class _Load:
    """How busy this machine is, from making it on."""

    def __init__(self) -> None:
        import psutil

        psutil.cpu_percent()

    def is_high(self) -> bool:
        """Whether nearly all of its processors were busy since."""
        import psutil

        return psutil.cpu_percent() >= _SATURATED


def _source(target: Target) -> PostgresqlSource | SqlServerSource:
    if target.product is Product.SQLSERVER:
        from dbdoctor.watch.sqlserver_source import SqlServerSource

        return SqlServerSource(target)
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    return PostgresqlSource(target)
