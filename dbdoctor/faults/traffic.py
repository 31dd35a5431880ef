"""What has arrived at a socket, keepalive probes included, as the kernel counts it (Linux, TCP_INFO)."""

from __future__ import annotations

import socket
import struct

# Where tcpi_segs_in lies in struct tcp_info (linux/tcp.h): 8 bytes, 24 numbers of 4, 4 of 8, then segs_out, segs_in.
_SEGMENTS_IN = 8 + 24 * 4 + 4 * 8 + 4


def segments_in(end: socket.socket) -> int | None:
    """How many segments have arrived, or None where the system does not say.

    Keepalive probes count, though they never reach a reader as data (measured): so a hop whose idle timer a keepalive
    resets can be told from one whose timer it does not.
    """
    try:
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGMENTS_IN + 4)
    except (OSError, AttributeError):
        return None
    return struct.unpack_from("I", told, _SEGMENTS_IN)[0] if len(told) >= _SEGMENTS_IN + 4 else None
