"""The client processes behind the sessions, where they run on this very host.

The server tells a session's client by address and port, and this host's kernel tells which process has the socket with
that address and port. That these are one and the same must be proven first: a server in a container sees its own
loopback, behind a port forward it sees the forwarder's, and either can equal an address here. The proof is our own
session: the server must see it from just the place where our own socket is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.model.session import ACTIVE, ClientProcess, Identity, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.watch.command_line import shown_command
from dbdoctor.watch.owners import Owners
from dbdoctor.watch.sockets import End, Table, place, read_table

if TYPE_CHECKING:
    import psutil

# CPU time (seconds) that the search for owners may take in one look.
_BUDGET = 0.025
# Between two readings of the table of sockets lies this (seconds) at least, and so many times what a reading took.
_LEAST_GAP, _GAP_PER_COST = 0.4, 25.0
# So often (seconds) it is read again for statements that run, since only those can outlive their client.
_GONE_EVERY = 2.0
# A statement that runs for so long (seconds) is worth the question whether its client is still there.
_LONG_STATEMENT = 1.0
# So many readings must find a session's connection dead: one may fall into the moment of an ordinary end.
_DEAD_READINGS = 2
_POOLERS = {
    "odyssey": "Odyssey",
    "pgagroal": "pgagroal",
    "pgbouncer": "PgBouncer",
    "pgcat": "PgCat",
    "pgdog": "PgDog",
    "pgpool": "Pgpool-II",
}
_FORWARDERS = {
    "alloydb-auth-proxy": "AlloyDB Auth Proxy",
    "cloud-sql-proxy": "Cloud SQL Auth Proxy",
    "cloud_sql_proxy": "Cloud SQL Auth Proxy",
    "docker-proxy": "Docker's port forwarding",
    "envoy": "Envoy",
    "haproxy": "HAProxy",
    "kubectl": "kubectl port-forward",
    "nginx": "nginx",
    "pasta": "pasta",
    "pasta.avx2": "pasta",
    "rootlessport": "rootlessport",
    "slirp4netns": "slirp4netns",
    "socat": "socat",
    "ssh": "an SSH tunnel",
    "sshd": "an SSH tunnel",
    "sshd-session": "an SSH tunnel",
    "stunnel": "stunnel",
    "stunnel4": "stunnel",
}


class OwnConnection(NamedTuple):
    """Our own connection with the server: both places as our kernel knows them, and our place as the server sees it.

    On a unix socket there are no places; `server_pid` is then the process that listens, if our kernel says so.
    """

    port: int
    inode: int
    client: str | None = None
    server: str | None = None
    seen_as: str | None = None
    server_pid: int | None = None


def own_connection(descriptor: int, seen_as: tuple[str | None, int | None], port: int | None) -> OwnConnection | None:
    """What the kernel says of our connection's descriptor; `seen_as` is inet_client_addr() and inet_client_port().

    `port` is the server's own one, for a unix socket. None when this cannot be known.
    """
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
        inode = os.fstat(descriptor).st_ino
        if ours.family in {socket.AF_INET, socket.AF_INET6}:
            own, server = ours.getsockname(), ours.getpeername()
            return OwnConnection(server[1], inode, place(*own[:2]), place(*server[:2]), place(*seen_as))
        if port is not None and hasattr(socket, "SO_PEERCRED"):
            credentials = ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return OwnConnection(port, inode, server_pid=struct.unpack("3i", credentials)[0] or None)
    return None


class LocalProcesses:
    """Finds the processes; remembers what it found, so that it costs next to nothing while no session is new.

    `own` gives our present connection, None while there is none or it is not known. Nothing here ever fails: whatever
    cannot be seen, or stands in any doubt, is left out. A process that pools (`ClientProcess.pooler`: PgBouncer) or passes
    on (`forwarder`: HAProxy, an SSH tunnel) owns its sockets, but stands for the many clients behind it.
    """

    def __init__(self, own: Callable[[], OwnConnection | None], *, budget: float = _BUDGET) -> None:
        self._own = own
        self._owners = Owners(budget)
        self._facts = ProcessFacts()
        # Sessions whose place was looked for; those whose socket is here, but not yet its process; and those found.
        self._looked_at: set[Identity] = set()
        self._unowned: dict[Identity, int] = {}
        self._processes: dict[Identity, ClientProcess] = {}
        self._dead: dict[Identity, int] = {}
        self._read_at = self._not_before = -1e9

    def enrich(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, with `processes` and `clients_gone`."""
        own = self._own()
        if own is None:
            return snapshot
        self._forget(snapshot.sessions)
        if self._should_read(snapshot):
            with contextlib.suppress(OSError, ValueError):
                self._read(own, snapshot.sessions)
        elif self._owners.is_searching:
            self._search(snapshot.sessions)
        gone = frozenset(pid for (pid, _), readings in self._dead.items() if readings >= _DEAD_READINGS)
        processes = {identity[0]: process for identity, process in self._processes.items()}
        return dataclasses.replace(snapshot, processes=processes, clients_gone=gone)

    def _forget(self, sessions: Iterable[Session]) -> None:
        present = {(session.id, session.started_at) for session in sessions}
        if self._looked_at <= present:
            return
        self._looked_at &= present
        for known in (self._unowned, self._processes, self._dead):
            for identity in [identity for identity in known if identity not in present]:
                del known[identity]

    def _should_read(self, snapshot: Snapshot) -> bool:
        now = time.monotonic()
        if now < self._not_before:
            return False
        looked_at = self._looked_at
        if self._dead or any((session.id, session.started_at) not in looked_at for session in snapshot.sessions):
            return True
        long_since = snapshot.at - _LONG_STATEMENT
        return now >= self._read_at + _GONE_EVERY and any(
            session.state == ACTIVE and session.changed_at is not None and session.changed_at < long_since
            for session in snapshot.sessions
        )

    def _read(self, own: OwnConnection, sessions: Iterable[Session]) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        table = read_table(own.port)
        is_here = table is not None and _is_here(own, table)
        reached = table is not None and (is_here or _is_reached(own, table))
        for session in sessions:
            client = place(session.client, session.client_port) if reached else None
            if client is None or table is None:
                self._looked_at.add(session.identity)
                continue
            self._note(session, table.here(client) if is_here else table.towards(client, own.server or ""))
            if is_here and table.is_dead(client):
                self._dead[session.identity] = self._dead.get(session.identity, 0) + 1
            else:
                self._dead.pop(session.identity, None)
        self._search(sessions)
        self._read_at = began
        self._not_before = began + max(_LEAST_GAP, _GAP_PER_COST * (time.thread_time() - cpu))

    def _note(self, session: Session, end: End | None) -> None:
        identity = session.identity
        if identity in self._looked_at:
            return
        self._looked_at.add(identity)
        if end is None:
            return
        if end.pid is not None:
            self._found(identity, end.pid)
        elif end.inode:
            self._unowned[identity] = end.inode

    def _search(self, sessions: Iterable[Session]) -> None:
        if not self._unowned:
            return
        likely = {process.pid for process in self._processes.values()}
        found = self._owners.search(
            self._unowned.values(), first=likely, last={session.id for session in sessions} - likely
        )
        for identity, inode in list(self._unowned.items() if found else ()):
            if inode in found:
                del self._unowned[identity]
                self._found(identity, found[inode])

    def _found(self, identity: Identity, pid: int) -> None:
        process = self._facts.of(pid)
        if process is not None:
            self._processes[identity] = process


class ProcessFacts:
    """What there is to say of a process; asked once for each."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], ClientProcess] = {}

    def of(self, pid: int) -> ClientProcess | None:
        """The process, None when it has ended; what its owner does not let us see stays None in it."""
        import psutil

        try:
            process = psutil.Process(pid)
            key = pid, process.create_time()
        except (psutil.Error, OSError):
            return None
        if key not in self._known:
            if len(self._known) > 4096:
                self._known.clear()
            self._known[key] = _describe(process, key[1])
        return self._known[key]


def _describe(process: psutil.Process, started_at: float) -> ClientProcess:
    import psutil

    name = command = user = None
    with contextlib.suppress(psutil.Error, OSError, KeyError):
        name = process.name()
        command = shown_command(process.cmdline()) or name
    with contextlib.suppress(psutil.Error, OSError, KeyError):
        user = process.username()
    carrier = (name or "").lower().removesuffix(".exe")
    return ClientProcess(process.pid, command, user, _POOLERS.get(carrier), started_at, _FORWARDERS.get(carrier))


def _is_here(own: OwnConnection, table: Table) -> bool:
    """Whether the server is in this network namespace, so that both ends of every local connection must be in the table.

    Over TCP: the server sees us where we are, and its own end of our connection is here. Over a unix socket: the process
    that listens has the same network namespace, which only its own user and root may see.
    """
    if own.client is not None:
        end = table.here(own.client)
        return own.client == own.seen_as and end is not None and _is_ours(own, end) and end.other == own.server
    with contextlib.suppress(OSError):
        theirs = Path(f"/proc/{own.server_pid}/ns/net").readlink()
        return own.server_pid is not None and theirs == Path("/proc/self/ns/net").readlink()
    return False


def _is_reached(own: OwnConnection, table: Table) -> bool:
    """Whether nothing between us and the server changes addresses: it sees us where we are."""
    if own.client is None or own.server is None or own.client != own.seen_as:
        return False
    end = table.towards(own.client, own.server)
    return end is not None and _is_ours(own, end)


def _is_ours(own: OwnConnection, end: End) -> bool:
    return end.pid == os.getpid() if end.pid is not None else end.inode == own.inode
