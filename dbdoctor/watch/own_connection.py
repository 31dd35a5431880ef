"""Our own connection with the server: the proof that a client's address and port, as the server has them, mean a socket here.

A server in a container sees its own loopback, one behind a port forward sees the forwarder's address, and either can be
equal to an address of this host. Nothing is claimed unless the server sees ourselves just where our own socket is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple

from dbdoctor.watch.sockets import End, Table, place


class OwnConnection(NamedTuple):
    """Both places of our connection as our kernel knows them, and our place as the server sees it (`sockets.place`).

    On a unix socket there are no places; `server_pid` is then the process that listens, if our kernel says so. `port` is
    the server's own, `inode` our socket's, `session` the id of our session.
    """

    port: int
    inode: int
    client: str | None = None
    server: str | None = None
    seen_as: str | None = None
    server_pid: int | None = None
    session: int | None = None

    @property
    def is_seen_as_it_is(self) -> bool:
        """Whether a place as the server sees it can mean a socket of this host at all; without it nothing can be proven.

        Over TCP: nothing between us and the server changes addresses. Over a unix socket: the server has our network
        namespace, which only its own user and root may see.
        """
        if self.client is not None:
            return self.client == self.seen_as
        if self.server_pid is None:
            return False
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.server_pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
        return False

    def is_to_this_host(self, table: Table) -> bool:
        """Whether the server's end of our connection is here, too: then so is every server's end."""
        if self.client is None:
            return self.is_seen_as_it_is
        end = table.here(self.client)
        return end is not None and end.other == self.server and self._is_ours(end)

    def is_in(self, table: Table) -> bool:
        """Whether the table has our own socket, as ours: it is the table of the namespace that we connect from."""
        end = table.towards(self.client, self.server) if self.client and self.server else None
        return end is not None and self._is_ours(end)

    def _is_ours(self, end: End) -> bool:
        return end.pid == os.getpid() if end.pid is not None else end.inode == self.inode


def own_connection(
    descriptor: int, seen_as: tuple[str | None, int | None], port: int | None, session: int | None = None
) -> OwnConnection | None:
    """What the kernel says of our connection's descriptor; `seen_as` is inet_client_addr() and inet_client_port().

    `port`, the server's own one, and `session`, our session's id, are needed for a unix socket. None when this cannot be
    known.
    """
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
        inode = os.fstat(descriptor).st_ino
        if ours.family in {socket.AF_INET, socket.AF_INET6}:
            own, server = ours.getsockname(), ours.getpeername()
            return OwnConnection(server[1], inode, place(*own[:2]), place(*server[:2]), place(*seen_as), None, session)
        if port is not None and hasattr(socket, "SO_PEERCRED"):
            credentials = ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return OwnConnection(port, inode, None, None, None, struct.unpack("3i", credentials)[0] or None, session)
    return None
