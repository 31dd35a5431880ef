"""The clients behind sessions, found without asking the server: by this host's processes, or by a pooler's console."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dbdoctor.model.server import Missing, Pooler, ServerFacts
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Target

if TYPE_CHECKING:
    from dbdoctor.traces.holdings import Holdings
    from dbdoctor.watch.own_connection import OwnConnection
    from dbdoctor.watch.pgbouncer import PgBouncerConsole
    from dbdoctor.watch.processes import LocalProcesses

# Among more sessions than this the search takes tens of milliseconds, which a single look that is to be quick has not.
_MOST_AT_ONCE = 200
# While no process records, it is looked for one so often (seconds).
_RECORDINGS_EVERY = 2.0


class ClientSide:
    """Adds the client's side to snapshots of `target`; never fails. `facts` and `own` are of the present connection.

    With `single_look` there will be one snapshot only, and of very many sessions the processes are not looked for.
    `recordings` gives the files of the recorders that are at work; None asks none.
    """

    def __init__(
        self,
        target: Target,
        facts: Callable[[], ServerFacts | None],
        own: Callable[[], OwnConnection | None],
        *,
        single_look: bool = False,
        recordings: Callable[[], Collection[Path]] | None = None,
    ) -> None:
        self._target = target
        self._facts = facts
        self._own = own
        self._single_look = single_look
        self._processes: LocalProcesses | None = None
        self._console: PgBouncerConsole | None = None
        self._recordings = recordings
        self._holdings: Holdings | None = None
        self._not_before = -1e9

    def enrich(self, snapshot: Snapshot, *, thorough: bool = False) -> Snapshot:
        """The same snapshot, with processes, the clients behind PgBouncer if that stands between, and who holds what."""
        return self._held(self._enrich(snapshot, thorough=thorough), thorough=thorough)

    def _held(self, snapshot: Snapshot, *, thorough: bool) -> Snapshot:
        if self._recordings is None:
            return snapshot
        if self._holdings is None:
            if time.monotonic() < self._not_before:
                return snapshot
            self._not_before = time.monotonic() + _RECORDINGS_EVERY
            if not self._recordings():
                return snapshot
            from dbdoctor.traces.holdings import Holdings

            self._holdings = Holdings(self._recordings, (point.port for point in self._target.endpoints if point.port))
        return self._holdings.enrich(snapshot, thorough=thorough or self._single_look)

    def _enrich(self, snapshot: Snapshot, *, thorough: bool) -> Snapshot:
        facts = self._facts()
        if facts is not None and facts.pooler is not None:
            return self._behind(facts.pooler, snapshot)
        if self._single_look and len(snapshot.sessions) > _MOST_AT_ONCE:
            return self._passed_over(snapshot)
        if self._processes is None:
            from dbdoctor.watch.processes import LocalProcesses

            self._processes = LocalProcesses(self._own)
        return self._processes.enrich(snapshot, thorough=thorough)

    def _passed_over(self, snapshot: Snapshot) -> Snapshot:
        facts = self._facts()
        seen_from = str(facts.extra.get("client_address") or "") if facts is not None else ""
        if not any(session.client == seen_from for session in snapshot.sessions):
            return snapshot
        reason = f"not looked for in a single look at {len(snapshot.sessions):,} sessions; a watch (`--for 10s`) does"
        missing = Missing("the client processes on this host", reason)
        return snapshot._replace(missing=(*snapshot.missing, missing))

    def _behind(self, pooler: Pooler, snapshot: Snapshot) -> Snapshot:
        from dbdoctor.watch.pgbouncer import PgBouncerConsole, has_console

        if self._console is None and has_console(pooler, self._target):
            self._console = PgBouncerConsole(self._target)
        return self._console.enrich(snapshot) if self._console is not None else snapshot

    def close(self) -> None:
        """Leave the console and all files; never raises."""
        if self._holdings is not None:
            self._holdings.close()
        if self._console is not None:
            self._console.close()
