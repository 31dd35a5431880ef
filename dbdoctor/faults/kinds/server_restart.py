"""The server restarts: its sessions end, and for some seconds it refuses connections

What it means
    A minor update, a changed setting, a crash: every connection is closed, then connecting is refused until the server
    is back.

Why it matters
    No pool can serve a request while the server is away. What differs is what happens afterwards: whether the pool
    recovers at once, or hands out dead connections for a while.

What to do
    `pool_pre_ping=True`, so that no dead connection is handed out afterwards, and a retry of the whole request with a
    pause, in the application, for the seconds in between.
"""

from __future__ import annotations

from dbdoctor.faults.outage import Outage
from dbdoctor.faults.relay import Relay


class ServerRestart(Outage):
    """Everything is closed in order, and refused for some seconds."""

    code = "server-restart"
    title = "restart of the server"
    stands_for = "minor update, crash, changed settings"

    def strike(self, relay: Relay) -> None:
        """Listen no more, and close everything."""
        relay.refuse()
        super().strike(relay)

    def over(self, relay: Relay) -> None:
        """Listen again."""
        relay.listen_again()
