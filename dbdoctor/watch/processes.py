"""The client processes behind the sessions, where they run on this very host.

The server tells a session's client by address and port, and this host's kernel tells which process has the socket there.
That both mean the same place must be proven first (`own_connection`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from dbdoctor.model.session import ACTIVE, ClientProcess, Identity, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.watch.own_connection import OwnConnection
from dbdoctor.watch.owners import Owners
from dbdoctor.watch.process_facts import ProcessFacts
from dbdoctor.watch.sockets import End, Table, place, read_table

# CPU time (seconds) after which a look leaves the rest of its search to the next one; a thorough look takes more.
_BUDGET = 0.03
_THOROUGH_BUDGET = 0.3
# Between two readings of the table of sockets lies this (seconds) at least, and so many times what a reading took.
_LEAST_GAP, _GAP_PER_COST = 0.4, 25.0
# So often (seconds) it is read again for statements that run, since only those can outlive their client.
_GONE_EVERY = 2.0
# A statement that runs for so long (seconds) is worth the question whether its client is still there.
_LONG_STATEMENT = 1.0
# So many readings must find a session's connection dead: one may fall into the moment of an ordinary end.
_DEAD_READINGS = 2
# Where the system does not tell its connections (macOS without root), it is asked again after so long (seconds).
_ASK_AGAIN = 300.0


class LocalProcesses:
    """Finds the processes; remembers what it found, so that it costs next to nothing while no session is new.

    `own` gives our present connection, None while there is none or it is not known. Nothing here ever fails: whatever
    cannot be seen, or stands in any doubt, is left out. A process that pools (`ClientProcess.pooler`: PgBouncer) or passes
    on (`forwarder`: HAProxy, an SSH tunnel) owns its sockets, but stands for the many clients behind it.

    A client counts as gone when its statement runs on although the server's end of its connection, which must be on this
    host, was closed from the other side. Clients of unix sockets are found for root and the server's own user, if we use
    the unix socket ourselves; whether they are gone is not asked.
    """

    def __init__(self, own: Callable[[], OwnConnection | None], *, budget: float = _BUDGET) -> None:
        self._own = own
        self._budget = budget
        self._owners = Owners()
        self._facts = ProcessFacts()
        self._last_own: OwnConnection | None = None
        self._provable = False
        self._is_here: bool | None = None
        # Sessions whose place was looked for; those whose socket is here, but not yet its process; and those found.
        self._looked_at: set[Identity] = set()
        self._unowned: dict[Identity, int] = {}
        self._processes: dict[Identity, ClientProcess] = {}
        # In how many readings the connection of a session was dead.
        self._dead: dict[Identity, int] = {}
        self._read_at = self._not_before = -1e9
        self._has_table = True

    def enrich(self, snapshot: Snapshot, *, thorough: bool = False) -> Snapshot:
        """The same snapshot, with `processes` and `clients_gone`; a `thorough` look searches to the end, if it can."""
        until = time.thread_time() + (_THOROUGH_BUDGET if thorough else self._budget)
        if thorough and self._has_table:
            self._not_before = -1e9
        self._forget(snapshot.sessions)
        own = self._own()
        if own != self._last_own:
            self._begin(own)
        if own is not None and self._provable:
            was_read = self._should_read(own, snapshot) and self._read(own, snapshot.sessions, until)
            if self._unowned and (was_read or self._owners.is_searching):
                self._search(snapshot.sessions, until)
        gone = frozenset(id_ for (id_, _), readings in self._dead.items() if readings >= _DEAD_READINGS)
        processes = {identity[0]: process for identity, process in self._processes.items()}
        return snapshot._replace(processes=processes, clients_gone=gone)

    def _begin(self, own: OwnConnection | None) -> None:
        """Another connection than before: what could not be proven over the last one perhaps can be now."""
        self._last_own = own
        self._provable = own is not None and own.is_seen_as_it_is
        self._looked_at = {*self._processes, *self._unowned}
        self._dead.clear()
        self._is_here = None
        self._not_before = -1e9

    def _forget(self, sessions: Iterable[Session]) -> None:
        present = {(session.id, session.started_at) for session in sessions}
        if self._looked_at <= present:
            return
        self._looked_at &= present
        for known in (self._unowned, self._processes, self._dead):
            for identity in [identity for identity in known if identity not in present]:
                del known[identity]

    def _should_read(self, own: OwnConnection, snapshot: Snapshot) -> bool:
        now = time.monotonic()
        if now < self._not_before:
            return False
        looked_at = self._looked_at
        new = [one for one in snapshot.sessions if (one.id, one.started_at) not in looked_at]
        elsewhere = [one.identity for one in new if not self._may_be_here(one, own)]
        looked_at.update(elsewhere)
        if len(new) > len(elsewhere) or self._dead:
            return True
        long_since = snapshot.at - _LONG_STATEMENT
        return now >= self._read_at + _GONE_EVERY and any(
            one.state == ACTIVE and one.client_port and one.changed_at is not None and one.changed_at < long_since
            for one in snapshot.sessions
        )

    def _may_be_here(self, session: Session, own: OwnConnection) -> bool:
        """Towards a server that is known to be elsewhere, clients of this host have the same address as we."""
        if session.client == "local":
            return own.client is None
        client = place(session.client, session.client_port)
        if client is None or own.client is None or self._is_here is not False:
            return client is not None
        return client.partition(":")[0] == own.client.partition(":")[0]

    def _read(self, own: OwnConnection, sessions: Iterable[Session], until: float) -> bool:
        """Read the table and note what it says of these sessions; gives whether it said anything."""
        began, cpu = time.monotonic(), time.thread_time()
        table = read_table(own.port)
        self._read_at, self._not_before = began, began + _ASK_AGAIN
        self._has_table = table is not None
        if table is None:
            return False
        self._is_here = is_here = own.is_to_this_host(table)
        if is_here or own.is_in(table):
            for session in sessions:
                if session.client != "local":
                    self._note(session, own, table, is_here=is_here)
        else:
            self._looked_at.update(session.identity for session in sessions if session.client != "local")
        if own.client is None:
            self._note_unix_sockets(own, sessions, until)
        self._not_before = began + max(_LEAST_GAP, _GAP_PER_COST * (time.thread_time() - cpu))
        return True

    def _note_unix_sockets(self, own: OwnConnection, sessions: Iterable[Session], until: float) -> None:
        """By the server's processes, as far as the time goes; a process id is what we take it for if ours proves it."""
        from dbdoctor.watch.unix_peers import peer_of, peers_of_server

        peers = peers_of_server(own.port)
        proven = own.session is not None and peer_of(own.session, peers) == own.inode
        for session in sessions:
            identity = session.id, session.started_at
            if session.client != "local" or identity in self._looked_at:
                continue
            if proven and time.thread_time() > until:
                return
            self._looked_at.add(identity)
            inode = peer_of(session.id, peers) if proven else None
            if inode is not None:
                self._unowned[identity] = inode

    def _note(self, session: Session, own: OwnConnection, table: Table, *, is_here: bool) -> None:
        identity = session.id, session.started_at
        is_new, may_outlive = identity not in self._looked_at, is_here and session.state == ACTIVE
        client = place(session.client, session.client_port) if is_new or may_outlive else None
        if is_new:
            self._looked_at.add(identity)
            if client is not None:
                self._note_end(identity, table.here(client) if is_here else table.towards(client, own.server or ""))
        if may_outlive and client is not None and table.is_dead(client):
            self._dead[identity] = self._dead.get(identity, 0) + 1
        else:
            self._dead.pop(identity, None)

    def _note_end(self, identity: Identity, end: End | None) -> None:
        if end is not None and end.pid is not None:
            self._found({identity: end.pid})
        elif end is not None and end.inode:
            self._unowned[identity] = end.inode

    def _search(self, sessions: Iterable[Session], until: float) -> None:
        likely = {process.pid for process in self._processes.values()}
        servers = {session.id for session in sessions} - likely
        found = self._owners.search(self._unowned.values(), until, first=likely, last=servers)
        if found:
            owned = {identity: found[inode] for identity, inode in self._unowned.items() if inode in found}
            self._unowned = {identity: inode for identity, inode in self._unowned.items() if identity not in owned}
            self._found(owned)

    def _found(self, pids: Mapping[Identity, int]) -> None:
        """Each process is asked once: its id may have been given out again since the last time."""
        known = {pid: self._facts.of(pid) for pid in set(pids.values())}
        self._processes.update((identity, process) for identity, pid in pids.items() if (process := known[pid]))
