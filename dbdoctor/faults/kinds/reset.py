"""An idle connection is reset when its time is up

What it means
    The device tells both ends when it forgets a flow, by a TCP reset: Azure Load Balancer with TCP reset enabled, some
    firewalls. A TCP keepalive is a packet, and restarts the clock.

Why it matters
    The next use fails at once, nothing hangs, and the server drops its session too. Without a test at checkout one
    request fails.

What to do
    `pool_pre_ping=True`, or keepalives with an idle time below the timeout, or `pool_recycle` below it.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class Reset(Fault):
    """RST to both ends after the idle timeout."""

    code = "reset"
    title = "reset when idle"
    stands_for = "Azure Load Balancer with TCP reset, firewalls that say so"

    def on_idle(self, flow: Flow) -> None:
        """Cut both ends."""
        flow.reset_client()
        flow.reset_server()
