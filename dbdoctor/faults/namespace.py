"""A network of one's own: how an ordinary user is allowed to drop packets of its own sockets (Linux)."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

from dbdoctor.faults.silence import can_silence

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def may_enter_private_network() -> bool:
    """Whether `enter_private_network` would work, and packets can be dropped inside; tried in a child.

    For who tries it himself and fails in its middle is left without a network. To be called while there is one thread.
    """
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            enter_private_network()
            code = 0 if can_silence() else 1
        os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def enter_private_network() -> None:
    """Move this process (of one thread) into a user and a network namespace that end with it and its children.

    Its sockets made before stay where they are. Only loopback exists inside. Raises OSError where the system forbids it.
    """
    import ctypes

    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _raise_loopback()


def _raise_loopback() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(end, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(end, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
