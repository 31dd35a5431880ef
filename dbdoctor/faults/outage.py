"""Faults that last: they strike once the idle timeout has passed, and are over some seconds after the pool is used again."""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.relay import Relay

# An outage goes on for this part of the idle timeout after the pool is used again, and at least so long (seconds).
_PART = 0.5
_LEAST = 2.0


class Outage(Fault):
    """`under_way` is whether it has struck and is not over."""

    counts_keepalives = False
    by_idleness = False
    away = True

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self.under_way = False

    def begin(self, relay: Relay) -> None:
        """Set the two moments."""
        relay.strike_after(self.idle, lambda: self._begin(relay))
        relay.loop.after(max(self.idle, relay.quiet_for) + max(_LEAST, self.idle * _PART), lambda: self._end(relay))

    def strike(self, relay: Relay) -> None:
        """It begins: the connections that are open end in order, as a server's that shuts down."""
        for flow in relay.flows:
            flow.end_client()
            flow.end_server()

    def over(self, relay: Relay) -> None:
        """It is over."""

    def _begin(self, relay: Relay) -> None:
        self.under_way = True
        self.strike(relay)

    def _end(self, relay: Relay) -> None:
        self.under_way = False
        self.over(relay)
