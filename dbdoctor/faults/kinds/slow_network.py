"""Every packet takes longer than before

What it means
    Packets take a detour, or a link is full: each way takes 0.2 s longer than it did.

Why it matters
    Nothing fails, and everything that takes round trips is slower by that: a statement by one, a pre-ping by one more,
    a login by four to six. A pool that logs in anew inside a request (pool_recycle, NullPool) makes that request wait
    for seconds.

What to do
    Nothing against the fault itself. Where logins are far, prefer keepalives, which keep connections, to recycling
    them.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.relay import Relay

# What is added to each way (seconds).
_DELAY = 0.2


class SlowNetwork(Fault):
    """From the idle timeout on everything is passed on late."""

    code = "slow-network"
    title = "slow network"
    stands_for = "detour, full link, other continent"
    acknowledges = True
    by_idleness = False
    away = True

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._slow = False

    def begin(self, relay: Relay) -> None:
        """Be slow when it is time."""
        relay.strike_after(self.idle, self._slow_down)

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on, late."""
        flow.relay.loop.after(self._delay, lambda: flow.to_server(data))

    def from_server(self, flow: Flow, data: bytes) -> None:
        """Pass it on, late."""
        flow.relay.loop.after(self._delay, lambda: flow.to_client(data))

    def client_closed(self, flow: Flow) -> None:
        """Pass it on, late."""
        flow.closing = True
        flow.relay.loop.after(self._delay, flow.end_server)

    def server_closed(self, flow: Flow) -> None:
        """Pass it on, late."""
        flow.relay.loop.after(self._delay, flow.end_client)

    def _slow_down(self) -> None:
        self._slow = True

    @property
    def _delay(self) -> float:
        return _DELAY if self._slow else 0.0
