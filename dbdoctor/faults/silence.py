"""A real silent drop: the kernel throws away what arrives for a socket before TCP sees it, so nothing is acknowledged.

A classic BPF filter of one instruction, "take 0 bytes", is attached to the relay's own socket (socket(7),
SO_ATTACH_FILTER). To the other end this is what a firewall does that forgot the flow: its retransmissions, its
keepalives and its tcp_user_timeout behave as they would there (measured: ETIMEDOUT at tcp_user_timeout, and after the
last keepalive). Linux only; kernels since 6.x want CAP_NET_ADMIN, which an ordinary user has in a network namespace of
its own.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_RETURN_CONSTANT = 0x06  # BPF_RET | BPF_K


def silence(end: socket.socket) -> None:
    """From now on nothing that arrives for `end` is taken or acknowledged. Raises OSError where that is not allowed."""
    import ctypes

    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN_CONSTANT, 0, 0, 0))
    end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(instruction)))


def unsilence(end: socket.socket) -> None:
    """Undo it, if it was done."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def can_silence() -> bool:
    """Whether this process may do it; tried on a socket of its own."""
    if sys.platform != "linux":
        return False
    with socket.socket() as end:
        try:
            silence(end)
        except OSError:
            return False
    return True
