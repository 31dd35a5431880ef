"""Sockets that are connecting to the server, also for a process that has left the machine's network for one of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable

from dbdoctor.trials.orders import Where

Dial = Callable[[], socket.socket]


def direct(where: Where) -> Dial:
    """Made by this process itself."""
    return lambda: _connecting(where)


def through_child(where: Where) -> tuple[Dial, int]:
    """Made by a child that stays in this network when its parent leaves; with the child's process id.

    To be called while there is one thread. The child ends with its parent.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            ours.close()
            die_with_parent()
            while theirs.recv(1):
                _answer(theirs, where)
        os._exit(0)
    theirs.close()

    def dial() -> socket.socket:
        ours.sendall(b"d")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        if not descriptors:
            raise OSError("no socket could be made")
        return socket.socket(fileno=descriptors[0])

    return dial, pid


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux, prctl(2) PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def _answer(end: socket.socket, where: Where) -> None:
    try:
        made = _connecting(where)
    except OSError:
        end.sendall(b"n")
        return
    with made:
        socket.send_fds(end, [b"y"], [made.fileno()])


def _connecting(where: Where) -> socket.socket:
    made = socket.socket(where.family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            made.connect(where.address)
    except BaseException:
        made.close()
        raise
    return made
