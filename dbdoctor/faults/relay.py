"""The path between an application and its server: it listens on loopback, passes on, and does what its fault wants."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.faults.silence import silence, unsilence

LOOPBACK = "127.0.0.1"
# How often flows are looked at for silence and keepalives (seconds): the precision of an idle timeout.
_GLANCE = 0.025
_BACKLOG = 64
# A strike that comes later than this part of the idle timeout may have come after what it should have struck.
_TOO_LATE = 0.15


class Relay:
    """One listening port before one server, with one fault. `dial` gives a socket that is connecting to the server.

    `terminate` has the server end all sessions of this relay's application. `quiet_for` is how long the application is
    idle, counted from the fault's `begin` (seconds). `admit` is given what connects to the server, and does it in time.
    """

    def __init__(
        self,
        loop: Loop,
        fault: Fault,
        dial: Callable[[], socket.socket],
        *,
        terminate: Callable[[], None] = lambda: None,
        admit: Callable[[Callable[[], None]], None] = lambda connect: connect(),
        quiet_for: float = 0.0,
    ) -> None:
        self.loop = loop
        self.fault = fault
        self.dial = dial
        self.terminate = terminate
        self.admit = admit
        self.quiet_for = quiet_for
        self.flows: list[Flow] = []
        self.opened = 0
        # Whether this process was kept from striking in time, so that what was seen through it says nothing.
        self.late = False
        self._held = False
        self._closed = False
        self._listener: socket.socket | None = None
        # It never listens, and keeps the port for us while nobody else does.
        self._holder = _bound(0)
        self.port = int(self._holder.getsockname()[1])
        self._listen()
        loop.after(_GLANCE, self._glance)

    @property
    def messages(self) -> int:
        """How many pieces of data the application has sent so far, over all flows."""
        return sum(flow.messages for flow in self.flows)

    @property
    def sessions(self) -> int:
        """How many sessions the server may hold for this relay."""
        return sum(flow.has_session for flow in self.flows)

    def strike_after(self, seconds: float, strike: Callable[[], None]) -> None:
        """Do it so many seconds from now, and notice when it came too late."""
        due = time.monotonic() + seconds

        def act() -> None:
            self.late |= time.monotonic() - due >= self.fault.idle * _TOO_LATE
            strike()

        self.loop.after(seconds, act)

    def hold(self) -> None:
        """No idle time counts for now: on a busy machine an application may take long to fill its pool."""
        self._held = True

    def go_on(self) -> None:
        """Undo `hold`: idle times begin now."""
        self._held = False
        now = time.monotonic()
        for flow in self.flows:
            flow.last_traffic = now

    def refuse(self) -> None:
        """Nobody listens any more: who connects is refused."""
        if self._listener is not None:
            self.loop.watch(self._listener, 0, lambda _ready: None)
            self._listener.close()
            self._listener = None

    def listen_again(self) -> None:
        """Undo `refuse`, on the same port."""
        if not self._closed and self._listener is None:
            self._listen()

    def deafen(self) -> None:
        """As if the machine were gone: who connects gets no answer, and tries again as its kernel does."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                silence(self._listener)

    def hear_again(self) -> None:
        """Undo `deafen`."""
        if self._listener is not None:
            unsilence(self._listener)

    @property
    def orphans(self) -> int:
        """How many sessions the server may hold that the application can no longer reach."""
        return sum(flow.is_orphan for flow in self.flows)

    def release_orphans(self) -> None:
        """Free the server of them; the application's end stays as it is."""
        for flow in self.flows:
            if flow.is_orphan:
                flow.reset_server()

    def close(self) -> None:
        """Stop listening and cut every flow."""
        self._closed = True
        self.refuse()
        self._holder.close()
        for flow in self.flows:
            flow.release()

    def _listen(self) -> None:
        self._listener = _bound(self.port)
        self._listener.setblocking(False)
        self._listener.listen(_BACKLOG)
        self.loop.watch(self._listener, READ, lambda _ready: self._accept())

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        self.opened += 1
        flow = Flow(self, client)
        self.flows.append(flow)
        self.fault.opened(flow)

    def _glance(self) -> None:
        if self._closed:
            return
        now = time.monotonic()
        for flow in self.flows:
            if not flow.ended:
                self._look_at(flow, now)
        self.loop.after(_GLANCE, self._glance)

    def _look_at(self, flow: Flow, now: float) -> None:
        came = flow.look(now, keepalives_count=self.fault.counts_keepalives)
        if came and flow.struck:
            self.fault.used_after(flow, came)
        if not (flow.struck or self._held) and now - flow.last_traffic >= self.fault.idle:
            flow.struck = True
            self.late |= self.is_overdue(flow, now)
            self.fault.on_idle(flow)

    def is_overdue(self, flow: Flow, now: float) -> bool:
        """Whether nothing has passed for so much longer than the idle timeout that the strike is too late."""
        return now - flow.last_traffic >= self.fault.idle * (1.0 + _TOO_LATE)


def _bound(port: int) -> socket.socket:
    """A socket with a port of loopback; several of ours may have the same."""
    end = socket.socket()
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        end.bind((LOOPBACK, port))
    except BaseException:
        end.close()
        raise
    return end
