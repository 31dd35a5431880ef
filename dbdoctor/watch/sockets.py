"""TCP connections of this host with one port, as its kernel has them: from /proc, elsewhere from psutil.

A place is an address and a port in the kernel's notation (`0100007F:1538`), one text for one place however it is written.
"""

from __future__ import annotations

import functools
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
# How an IPv4 address begins in the table of IPv6 sockets (`::ffff:10.0.0.1`), one 32-bit word in host order after another.
_MAPPED = "0000000000000000" + ("FFFF0000" if sys.byteorder == "little" else "0000FFFF")
_ESTABLISHED = "01"


class End(NamedTuple):
    """One end of a connection of this host; `other` is the place at the other end.

    `alive`: of a client's end, that a process still has it; of a server's end, that its client has not closed.
    `inode` names a client's socket (Linux), 0 where it has no owner; `pid` is known where the system tells both at once.
    """

    other: str
    alive: bool
    inode: int
    pid: int | None = None


class Table(NamedTuple):
    """The connections of this network namespace with one port, by the place of the client.

    `clients` are the clients' ends that this host has, `servers` the servers' ends; in each list nearly always just one.
    """

    clients: dict[str, list[End]]
    servers: dict[str, list[End]]

    def here(self, client: str) -> End | None:
        """The client's living end, if this host has the server's end of that same connection, too."""
        ends = self.clients.get(client)
        if not ends:
            return None
        servers = self.servers.get(client, ())
        return next((end for end in ends if end.alive and any(end.other == far.other for far in servers)), None)

    def towards(self, client: str, server: str) -> End | None:
        """The client's living end of a connection with this very server, wherever that is."""
        return next((end for end in self.clients.get(client, ()) if end.alive and end.other == server), None)

    def is_dead(self, client: str) -> bool:
        """Whether neither end is alive. Says something only of a server on this host, all of whose ends are here."""
        ends = (*self.clients.get(client, ()), *self.servers.get(client, ()))
        return not any(end.alive for end in ends)


def place(address: str | None, port: int | None) -> str | None:
    """The place of an address as text; None for what is none (`local`, a name)."""
    written = _address(address) if address else None
    return f"{written}:{port:04X}" if written and port is not None and 0 < port < 65536 else None


def read_table(port: int) -> Table | None:
    """All connections with `port`; None where the system does not tell."""
    table = Table({}, {})
    try:
        if sys.platform.startswith("linux"):
            for name in _TABLES:
                if name == _TABLES[0] or Path(name).exists():  # a kernel without IPv6 has but one
                    _add_rows(Path(name).read_text("ascii"), f":{port:04X}", table)
        else:
            _add_rows_of_psutil(port, table)
    except OSError:
        return None
    return table


def _add_rows(text: str, suffix: str, table: Table) -> None:
    """Rows are `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...` (Linux, net/ipv4/tcp_ipv4.c).

    Only those of the port are taken apart: a host can have very many others.
    """
    clients, servers, mark, prefix = table.clients, table.servers, suffix + " ", len(_MAPPED)
    for line in text.split("\n"):
        if mark not in line:
            continue
        _, local, remote, state, _, _, _, _, _, inode, _ = line.split(None, 10)
        if local.startswith(_MAPPED):
            local, remote = local[prefix:], remote[prefix:]
        if remote.endswith(suffix):
            number = int(inode)
            clients.setdefault(local, []).append(End(remote, state == _ESTABLISHED or number != 0, number))
        if local.endswith(suffix):
            servers.setdefault(remote, []).append(End(local, state == _ESTABLISHED, 0))


def _add_rows_of_psutil(port: int, table: Table) -> None:
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError) as error:
        raise OSError(str(error)) from None
    for one in connections:
        local = place(one.laddr.ip, one.laddr.port) if one.laddr else None
        remote = place(one.raddr.ip, one.raddr.port) if one.raddr else None
        if not local or not remote:
            continue
        established = one.status == psutil.CONN_ESTABLISHED
        if one.raddr and one.raddr.port == port:
            table.clients.setdefault(local, []).append(End(remote, established or one.pid is not None, 0, one.pid))
        if one.laddr and one.laddr.port == port:
            table.servers.setdefault(remote, []).append(End(local, established, 0, one.pid))


@functools.lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    text = text.partition("%")[0].partition("/")[0]
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):
        return None
    return _plain("".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", packed)))


def _plain(address: str) -> str:
    return address.removeprefix(_MAPPED)
