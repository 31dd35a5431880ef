"""A long query outlasts the idle timeout, and its answer is lost in silence

What it means
    While a query runs, nothing passes on its connection. A firewall, NAT or balancer counts that as idle, forgets the
    flow, and the answer vanishes.

Why it matters
    The application has sent nothing that could go unacknowledged, so tcp_user_timeout has nothing to strike at, and no
    pre-ping helps a connection that is in use. It waits until its keepalives find out, two hours and more by default;
    and the query has run.

What to do
    Keepalives with an idle time below the timeout, from the application (`keepalives_idle`) or from the server
    (`options=-c tcp_keepalives_idle=...`): they pass while the query runs.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow
from dbdoctor.model.trial import Scenario


class LostReply(Fault):
    """Packets are lost, both ways, once a query has run for the idle timeout."""

    code = "lost-reply"
    title = "dropped in silence during a long query"
    stands_for = "firewall, NAT, AWS NLB, Azure Load Balancer"
    scenario = Scenario.QUERY
    needs_silence = True

    def on_idle(self, flow: Flow) -> None:
        """Forget the flow."""
        flow.silence()
