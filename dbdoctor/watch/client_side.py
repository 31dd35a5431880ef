"""The clients behind sessions, found without asking the server: by this host's processes, or by a pooler's console."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dbdoctor.model.server import Pooler, ServerFacts
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Target
from dbdoctor.watch.own_connection import OwnConnection
from dbdoctor.watch.processes import LocalProcesses

if TYPE_CHECKING:
    from dbdoctor.watch.pgbouncer import PgBouncerConsole


class ClientSide:
    """Adds the client's side to snapshots of `target`; never fails. `facts` and `own` are of the present connection."""

    def __init__(
        self, target: Target, facts: Callable[[], ServerFacts | None], own: Callable[[], OwnConnection | None]
    ) -> None:
        self._target = target
        self._facts = facts
        self._processes = LocalProcesses(own)
        self._console: PgBouncerConsole | None = None

    def enrich(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, with processes, and with the clients behind PgBouncer if that stands between."""
        facts = self._facts()
        if facts is not None and facts.pooler is not None:
            return self._behind(facts.pooler, snapshot)
        return self._processes.enrich(snapshot)

    def _behind(self, pooler: Pooler, snapshot: Snapshot) -> Snapshot:
        from dbdoctor.watch.pgbouncer import PgBouncerConsole, has_console

        if self._console is None and has_console(pooler, self._target):
            self._console = PgBouncerConsole(self._target)
        return self._console.enrich(snapshot) if self._console is not None else snapshot

    def close(self) -> None:
        """Leave the console; never raises."""
        if self._console is not None:
            self._console.close()
