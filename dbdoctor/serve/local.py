"""The clients behind sessions, where they run on this host: the kernel is asked, never the server, and no pooler's console.

`leaks` asks a pooler's console as well, over a connection of its own; an exporter keeps to one connection a target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dbdoctor.model.server import ServerFacts
from dbdoctor.model.snapshot import Snapshot

if TYPE_CHECKING:
    from dbdoctor.watch.own_connection import OwnConnection


class Local:
    """Adds the processes of this host to snapshots; `own` gives our present connection, None while there is none."""

    def __init__(self, own: Callable[[], OwnConnection | None]) -> None:
        from dbdoctor.watch.processes import LocalProcesses

        self._own = own
        self._processes = LocalProcesses(own)
        self._behind_pooler = False
        self.sees_ghosts = False

    def begin(self, facts: ServerFacts) -> None:
        """A session of ours begins. From now on `sees_ghosts` says whether a client that is gone would be noticed."""
        from dbdoctor.watch.sockets import read_table

        self._behind_pooler = facts.pooler is not None
        own = None if self._behind_pooler else self._own()
        table = read_table(own.port) if own is not None and own.is_seen_as_it_is else None
        self.sees_ghosts = own is not None and table is not None and own.is_to_this_host(table)

    def enrich(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, with processes and with the sessions whose clients are gone."""
        return snapshot if self._behind_pooler else self._processes.enrich(snapshot)
