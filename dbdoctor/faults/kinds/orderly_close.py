"""An idle connection is closed in order, as by a proxy

What it means
    A proxy between application and server (HAProxy's `timeout client`, RDS Proxy, PgBouncer's client_idle_timeout)
    closes connections that say nothing for too long: both ends get a FIN. A TCP keepalive is no data, does not reach
    the proxy's clock, and so does not help.

Why it matters
    The next use of such a connection fails at once with `server closed the connection unexpectedly`. The pool then
    replaces its other connections too, so one request fails, or as many as are made at the same time.

What to do
    `pool_pre_ping=True` makes it invisible for one round trip at each checkout; `pool_recycle` below the timeout avoids
    it without one.
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
