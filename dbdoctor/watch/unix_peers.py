"""Which client's socket is at the other end of a server's unix socket: Linux tells it by netlink (sock_diag(7))."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping

# linux/netlink.h, linux/sock_diag.h and linux/unix_diag.h.
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_UDIAG_SHOW_NAME, _UDIAG_SHOW_PEER = 0x1, 0x4
_UNIX_DIAG_NAME, _UNIX_DIAG_PEER = 0, 2
_ESTABLISHED_ALONE = 1 << 1
_HEADER, _REQUEST, _MESSAGE, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBHIIIII"), 16, struct.Struct("=HH")
_TIMEOUT = 0.2


def peers_of_server(port: int) -> dict[int, int]:
    """The inode of the client's socket by that of the server's, of all sessions of PostgreSQL's socket for this port.

    Only of this network namespace; empty where the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        return {}
    ending = f"/.s.PGSQL.{port}".encode()
    with contextlib.suppress(OSError, struct.error):
        return {inode: peer for inode, name, peer in _connected_sockets() if peer and name.endswith(ending)}
    return {}


def peer_of(session: int, peers: Mapping[int, int]) -> int | None:
    """The inode of the socket at the other end of a session, by the server's process; None where that is not to be seen.

    Its files are for its own user and root to see.
    """
    return next((peers[inode] for inode in sockets_of(session) if inode in peers), None)


def sockets_of(pid: int) -> set[int]:
    """The inodes of this process's sockets; empty when it is somebody else's."""
    found = set()
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208 - a pathlib.Path each costs
            target = os.readlink(f"{directory}/{name}")  # noqa: PTH115
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    return found


def _connected_sockets() -> Iterator[tuple[int, bytes, int]]:
    """Inode, name and peer's inode of each connected unix socket."""
    request = _REQUEST.pack(
        socket.AF_UNIX, 0, 0, _ESTABLISHED_ALONE, 0, _UDIAG_SHOW_NAME | _UDIAG_SHOW_PEER, 0xFFFFFFFF, 0xFFFFFFFF
    )
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT)
        kernel.sendall(header + request)
        while True:
            answer = kernel.recv(1 << 16)
            position = 0
            while position + _HEADER.size <= len(answer):
                length, kind, *_ = _HEADER.unpack_from(answer, position)
                if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < _HEADER.size:
                    return
                yield _socket(answer[position + _HEADER.size : position + length])
                position += (length + 3) & ~3


def _socket(message: bytes) -> tuple[int, bytes, int]:
    (inode,) = struct.unpack_from("=I", message, 4)
    name, peer, position = b"", 0, _MESSAGE
    while position + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, position)
        value = message[position + _ATTRIBUTE.size : position + length]
        if kind == _UNIX_DIAG_NAME:
            name = value.rstrip(b"\0")
        elif kind == _UNIX_DIAG_PEER:
            (peer,) = struct.unpack("=I", value)
        position += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return inode, name, peer
