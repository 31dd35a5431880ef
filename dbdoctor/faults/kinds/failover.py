"""The server's machine is gone, and another takes over its address some seconds later

What it means
    The primary's host loses power or network. Nobody closes anything: packets to it vanish, new connections get no
    answer, until a replica has been promoted and has taken over the address. It knows nothing of the old connections.

Why it matters
    Pooled connections hang as after a silent drop, for a quarter of an hour, though the new primary has long been
    there. Connecting hangs too, and takes part in the outage: without connect_timeout for two minutes.

What to do
    `pool_pre_ping=True` with `tcp_user_timeout`, and `connect_timeout`; a retry in the application for the time in
    between.
"""

from __future__ import annotations

from dbdoctor.faults.outage import Outage
from dbdoctor.faults.relay import Relay


class Failover(Outage):
    """Packets of every flow are lost for good; those of new connections for some seconds."""

    code = "failover"
    title = "failover to another machine"
    stands_for = "lost host, moved address"
    needs_silence = True

    def strike(self, relay: Relay) -> None:
        """Nothing is heard any more."""
        for flow in relay.flows:
            flow.silence()
        relay.deafen()

    def over(self, relay: Relay) -> None:
        """The other machine answers."""
        relay.hear_again()
