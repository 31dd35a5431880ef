"""A long query outlasts the idle timeout, and its answer meets a reset

What it means
    As lost-reply, with a device that answers packets of a forgotten flow by a reset. The first packet is the server's
    answer: so the server gets the reset, and the application, which only waits, gets nothing.

Why it matters
    The application waits until it sends something itself: a keepalive, which is answered by a reset, after two hours by
    default.

What to do
    Keepalives with an idle time below the timeout, from the application (`keepalives_idle`) or from the server
    (`options=-c tcp_keepalives_idle=...`).
"""

from __future__ import annotations

from dbdoctor.faults.kinds.reset_on_use import ResetOnUse
from dbdoctor.model.trial import Scenario


class LostReplyReset(ResetOnUse):
    """As reset-on-use, during a query that outlasts the idle timeout."""

    code = "lost-reply-reset"
    title = "reset on use during a long query"
    stands_for = "AWS NLB, AWS NAT gateway, rejecting firewall"
    scenario = Scenario.QUERY
    by_default = False
