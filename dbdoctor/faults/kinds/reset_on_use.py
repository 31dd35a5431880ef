"""An idle connection is reset when somebody uses it again

What it means
    The device forgets a flow that carried no packet for its idle timeout, tells nobody, and answers the next packet
    with a reset: AWS NLB and NAT gateways, firewalls that reject. A TCP keepalive is a packet, and restarts the clock.

Why it matters
    The next use fails at once; a pool without a test at checkout loses one request. The reset goes to the end that
    sent: the server is not told, and keeps its session until its own keepalive finds out.

What to do
    `pool_pre_ping=True`, or keepalives with an idle time below the timeout, which also spare the server the sessions
    that nobody has.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class ResetOnUse(Fault):
    """Whoever sends after the idle timeout gets a RST, and only he."""

    code = "reset-on-use"
    title = "reset at the next use after being idle"
    stands_for = "AWS NLB, AWS NAT gateway, rejecting firewall"
    by_default = True

    def used_after(self, flow: Flow, by: str) -> None:
        """A keepalive, or a packet that somebody has yet to read."""
        if by == "client":
            flow.reset_client()
        else:
            flow.reset_server()

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on while the flow is known."""
        if flow.struck:
            flow.reset_client()
        else:
            flow.to_server(data)

    def from_server(self, flow: Flow, data: bytes) -> None:
        """Pass it on while the flow is known."""
        if flow.struck:
            flow.reset_server()
        else:
            flow.to_client(data)

    def client_closed(self, flow: Flow) -> None:
        """The other end is told while the flow is known."""
        if not flow.struck:
            flow.end_server()

    def server_closed(self, flow: Flow) -> None:
        """The other end is told while the flow is known."""
        if not flow.struck:
            flow.end_client()
