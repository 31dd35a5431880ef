"""One connection through the relay: the application's end, the server's end, and what a fault can do to them."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING

from dbdoctor.faults.loop import READ, WRITE
from dbdoctor.faults.silence import silence, unsilence
from dbdoctor.faults.traffic import segments_in

if TYPE_CHECKING:
    from dbdoctor.faults.relay import Relay

_AT_ONCE = 65536
# More than this is not read from one end before the other has taken it (bytes).
_MOST_PENDING = 1 << 20
_NO_LINGER = struct.pack("ii", 1, 0)


class Side:
    """One end of a flow: its socket, what is still to be sent to it, and the segments that have come from it."""

    def __init__(self, end: socket.socket, *, connecting: bool = False) -> None:
        self.end: socket.socket | None = end
        self.pending = bytearray()
        self.connecting = connecting
        self.reads = True
        self.ends_after_pending = False
        self.segments = segments_in(end)
        end.setblocking(False)
        with contextlib.suppress(OSError):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def new_segments(self) -> bool:
        """Whether anything has arrived since this was asked last, keepalive probes included."""
        if self.end is None:
            return False
        before, self.segments = self.segments, segments_in(self.end)
        return self.segments != before


class Flow:
    """Forwards both ways until its fault does something else. Times are of the monotonic clock."""

    def __init__(self, relay: Relay, client: socket.socket) -> None:
        self.relay = relay
        self.client = Side(client)
        self.server: Side | None = None
        self.opened = time.monotonic()
        self.last_traffic = self.opened
        self.struck = False
        self.dropped = False
        # Whether the server is about to be told that the application has closed its end.
        self.closing = False
        self.messages = 0
        # What the application has said while the connection to the server had to wait; None when it does not wait.
        self._early: bytearray | None = None
        self._update(self.client)

    # What a fault can do

    def dial(self) -> None:
        """Connect to the server, as soon as one more session may be opened; what the client says meanwhile is kept."""
        self._early = bytearray()
        self.relay.admit(self._dial)

    def to_server(self, data: bytes) -> None:
        """Send this to the server."""
        if self.server is not None:
            self._send(self.server, data)
        elif self._early is not None:
            self._early += data

    def to_client(self, data: bytes) -> None:
        """Send this to the application."""
        self._send(self.client, data)

    def silence(self) -> None:
        """As behind a firewall that forgot the flow: from now on nothing is acknowledged or passed on, either way."""
        self.dropped = True
        for side in self._sides():
            self._deafen(side)

    def silence_client(self) -> None:
        """The same for the application's end alone."""
        self._deafen(self.client)

    def stop_forwarding(self) -> None:
        """As in a proxy that hangs: its kernel still takes and acknowledges everything, and nothing is passed on."""
        self.dropped = True
        for side in self._sides():
            side.reads = False
            self._update(side)

    def forget_server(self) -> None:
        """The server's end is neither told nor heard any more: it keeps its session, and its kernel takes what it sends."""
        self.dropped = True
        if self.server is not None:
            self.server.reads = False
            self._update(self.server)

    def reset_client(self) -> None:
        """Cut the application's end with RST."""
        self._reset(self.client)

    def reset_server(self) -> None:
        """Cut the server's end with RST."""
        if self.server is not None:
            self._reset(self.server)

    def end_client(self) -> None:
        """Close the application's end in order (FIN), after what is still to be sent to it."""
        self._end(self.client)

    def end_server(self) -> None:
        """Close the server's end in order (FIN), after what is still to be sent to it."""
        if self.server is not None:
            self._end(self.server)

    def half_close_client(self) -> None:
        """Say FIN to the application, and go on taking what it sends."""
        if self.client.end is not None:
            with contextlib.suppress(OSError):
                self.client.end.shutdown(socket.SHUT_WR)

    @property
    def ended(self) -> bool:
        """Whether neither end is open."""
        return self.client.end is None and (self.server is None or self.server.end is None)

    @property
    def has_session(self) -> bool:
        """Whether the server may hold a session for it."""
        return self.server is not None and self.server.end is not None

    @property
    def is_orphan(self) -> bool:
        """Whether the server may hold a session that the application can no longer reach."""
        return self.has_session and (self.dropped or (self.client.end is None and not self.closing))

    # What the relay asks

    def look(self, now: float, *, keepalives_count: bool) -> str | None:
        """Notice traffic that nobody can read. Gives "client" or "server", whose segments are new, or None."""
        came = None
        for name, side in (("server", self.server), ("client", self.client)):
            if side is not None and side.new_segments():
                came = name
        if came and keepalives_count:
            self.last_traffic = now
        return came

    def release(self) -> None:
        """Cut what is left, so that neither end waits for anything: the server ends the session when it sees it."""
        for side in self._sides():
            self._reset(side)

    # Inside

    def _dial(self) -> None:
        early, self._early = self._early, None
        if self.client.end is None:
            return
        try:
            end = self.relay.dial()
        except OSError:
            self.reset_client()
            return
        self.server = Side(end, connecting=True)
        self.server.pending += early or b""
        self._update(self.server)

    def _sides(self) -> list[Side]:
        return [side for side in (self.client, self.server) if side is not None]

    def _deafen(self, side: Side) -> None:
        side.reads = False
        side.pending.clear()
        self._update(side)
        if side.end is not None:
            with contextlib.suppress(OSError):  # the server's end lies outside a private network, and acknowledges
                silence(side.end)

    def _update(self, side: Side) -> None:
        if side.end is None:
            return
        other = self.server if side is self.client else self.client
        full = other is not None and len(other.pending) > _MOST_PENDING
        events = READ if side.reads and not side.connecting and not full else 0
        if side.pending or side.connecting or side.ends_after_pending:
            events |= WRITE
        self.relay.loop.watch(side.end, events, lambda ready: self._ready(side, ready))

    def _ready(self, side: Side, ready: int) -> None:
        if ready & WRITE:
            self._flush(side)
        if ready & READ and side.end is not None and side.reads:
            self._read(side)

    def _read(self, side: Side) -> None:
        assert side.end is not None
        try:
            data = side.end.recv(_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hung_up(side)
            return
        now = time.monotonic()
        self.relay.late |= not self.struck and self.relay.is_overdue(self, now)
        self.last_traffic = now
        if side is self.client:
            self.messages += 1
            self.relay.fault.from_client(self, data)
        else:
            self.relay.fault.from_server(self, data)
        if side.end is not None:
            side.segments = segments_in(side.end)

    def _hung_up(self, side: Side) -> None:
        side.reads = False
        self._close(side)
        if side is self.client:
            self.relay.fault.client_closed(self)
        else:
            self.relay.fault.server_closed(self)

    def _flush(self, side: Side) -> None:
        assert side.end is not None
        if side.connecting:
            if side.end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._hung_up(side)
                return
            side.connecting = False
            side.segments = segments_in(side.end)
        try:
            del side.pending[: side.end.send(side.pending)]
        except BlockingIOError:
            return
        except OSError:
            self._hung_up(side)
            return
        if side.ends_after_pending and not side.pending:
            self._close(side)
        self._update(side)

    def _send(self, side: Side, data: bytes) -> None:
        if side.end is not None:
            side.pending += data
            if not side.connecting:
                self._flush(side)

    def _end(self, side: Side) -> None:
        if side.pending and side.end is not None:
            side.ends_after_pending = True
            self._update(side)
        else:
            self._close(side)

    def _close(self, side: Side) -> None:
        if side.end is not None:
            self.relay.loop.watch(side.end, 0, lambda _ready: None)
            side.end.close()
            side.end = None

    def _reset(self, side: Side) -> None:
        if side.end is not None:
            unsilence(side.end)
            with contextlib.suppress(OSError):
                side.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._close(side)
