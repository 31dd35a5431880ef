"""An idle connection is forgotten by a firewall, and its packets vanish

What it means
    A stateful device (firewall, NAT, network load balancer, Azure Load Balancer) forgets a flow that carried no packet
    for its idle timeout. Neither end is told; what either sends afterwards is lost. A TCP keepalive is a packet, and
    restarts the clock.

Why it matters
    The next use sends its statement into the void and waits for as long as the kernel retransmits, about a quarter of
    an hour on Linux. The pre-ping of a pool is such a use, and has no deadline of its own. The server keeps the session
    until its own keepalive gives up, two hours and more by default.

What to do
    TCP keepalives with an idle time below the timeout keep the flow alive (`keepalives_idle`). Otherwise `pool_recycle`
    below it; and `tcp_user_timeout` bounds how long a statement can wait for an acknowledgement.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class SilentDrop(Fault):
    """Packets of an idle flow are lost in the kernel, both ways."""

    code = "silent-drop"
    title = "dropped in silence when idle"
    stands_for = "firewall, NAT, AWS NLB, Azure Load Balancer"
    needs_silence = True
    by_default = True

    def on_idle(self, flow: Flow) -> None:
        """Forget the flow."""
        flow.silence()
