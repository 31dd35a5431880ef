"""Closed in order when idle: a proxy that says FIN.

What it means: a proxy between application and server (HAProxy's `timeout client`, RDS Proxy, PgBouncer's
client_idle_timeout) closes connections that say nothing for too long. Keepalives do not restart its clock, for they
never reach it as data.
Why it matters: the next use of such a connection fails at once, once for each pooled connection, unless it is tested
or replaced at checkout.
What to do: pool_pre_ping=True, or pool_recycle below the timeout.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class OrderlyClose(Fault):
    """FIN to both ends after the idle timeout."""

    code = "closed"
    title = "closed in order when idle"
    stands_for = "HAProxy, RDS Proxy, PgBouncer"
    counts_keepalives = False
    by_default = True

    def on_idle(self, flow: Flow) -> None:
        """Close both ends."""
        flow.end_client()
        flow.end_server()
