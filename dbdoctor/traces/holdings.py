"""Who holds each session, told by the recorders of processes on this host; added to snapshots as they come.

It never fails: what cannot be read, has stopped, or fits no session says nothing, and a recorder that stopped is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dbdoctor.model.holding import Holding
from dbdoctor.model.server import Missing
from dbdoctor.model.session import Identity
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.traces.follow import Connection, Follower
from dbdoctor.traces.joining import Match, Moment, join

# CPU time (seconds) after which a look leaves the rest of what is to be read to the next one; a thorough look takes more.
_BUDGET = 0.1
_THOROUGH_BUDGET = 3.0
# New processes are looked for so often (seconds).
_FIND_EVERY = 2.0
_MOST_FILES = 2000
_UNUSED = "what it saw is not used"


class Holdings:
    """Fills `Snapshot.holdings`. `find` gives the files of the processes that are alive; `ports` are the server's."""

    def __init__(self, find: Callable[[], Iterable[Path]], ports: Iterable[int] = ()) -> None:
        self._find = find
        self._ports = frozenset(ports)
        self._followers: dict[Path, Follower] = {}
        self._found_at = -1e9
        # Once it is known, it stays so: a slow look must not make a session nobody's for a moment.
        self._matches: dict[Identity, Match] = {}
        # When a checkout began, by the server's clock, as it was first worked out: the same in every snapshot.
        self._since: dict[Identity, tuple[float, float]] = {}

    def enrich(self, snapshot: Snapshot, *, thorough: bool = False) -> Snapshot:
        """The same snapshot with its holdings; `thorough` reads to the end of every file."""
        now = time.time() - snapshot.took / 2
        until = time.thread_time() + (_THOROUGH_BUDGET if thorough else _BUDGET)
        if thorough or time.monotonic() - self._found_at >= _FIND_EVERY:
            self._look_for_files()
        for follower in self._followers.values():
            follower.read(until)
        used, missing = self._usable()
        if not used:
            self._matches.clear()
            self._since.clear()
            return snapshot._replace(missing=(*snapshot.missing, *missing)) if missing else snapshot
        self._match(snapshot, used, Moment(now, self._ports))
        holdings = {
            identity[0]: holding
            for identity, match in self._matches.items()
            if (holding := self._holding(identity, match, snapshot.at - now)) is not None
        }
        return snapshot._replace(holdings=holdings, missing=(*snapshot.missing, *missing))

    def close(self) -> None:
        """Leave all files; never raises."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()

    def _look_for_files(self) -> None:
        self._found_at = time.monotonic()
        try:
            paths = list(self._find())[:_MOST_FILES]
        except OSError:
            return
        for path in [path for path in self._followers if path not in paths]:
            self._followers.pop(path).close()
        for path in paths:
            self._followers.setdefault(path, Follower(path))

    def _usable(self) -> tuple[list[Follower], list[Missing]]:
        """Those that are alive and wholly read, and why others are not used."""
        used, missing, now = [], [], time.time()
        for follower in self._followers.values():
            header = follower.header
            if header is None or follower.ended:
                continue
            name = f"the recorder of process {header.process}{f' ({header.program})' if header.program else ''}"
            if follower.disabled:
                missing.append(Missing(name, f"it turned itself off after an error of its own; {_UNUSED}"))
            elif not follower.is_fresh(now):
                missing.append(Missing(name, f"it has stopped writing, though its process lives; {_UNUSED}"))
            elif not follower.complete:
                missing.append(Missing(name, f"its file is not wholly read yet; {_UNUSED} so far"))
            else:
                used.append(follower)
        return used, missing

    def _match(self, snapshot: Snapshot, used: Sequence[Follower], moment: Moment) -> None:
        present = {session.identity for session in snapshot.sessions}
        there = {id(follower) for follower in used}
        self._matches = {
            identity: match
            for identity, match in self._matches.items()
            if identity in present
            and id(match.follower) in there
            and match.connection is not None
            and match.follower.connections.get(match.connection.number) is match.connection
        }
        self._since = {identity: since for identity, since in self._since.items() if identity in self._matches}
        for identity, match in join(snapshot, used, moment).items():
            self._matches.setdefault(identity, match)

    def _holding(self, identity: Identity, match: Match, offset: float) -> Holding | None:
        """`offset` is the server's clock minus ours."""
        header, connection = match.follower.header, match.connection
        if header is None:
            return None
        if connection is None:
            return Holding(header.process, None, (), header.leak_after, program=header.program, beside=True)
        if not connection.sure or (connection.since is None and header.sample < 1):
            return None
        return Holding(
            process=header.process,
            since=self._since_of(identity, connection, offset),
            taken_at=match.follower.frames(connection),
            leak_after=header.leak_after,
            pool=connection.pool,
            program=header.program,
            thread=connection.thread,
        )

    def _since_of(self, identity: Identity, connection: Connection, offset: float) -> float | None:
        if connection.since is None:
            self._since.pop(identity, None)
            return None
        known = self._since.get(identity)
        if known is None or known[0] != connection.since:
            known = self._since[identity] = (connection.since, round(connection.since + offset, 3))
        return known[1]
