"""An idle connection is taken by a proxy that passes nothing on any more

What it means
    A proxy hangs, or its own connection to the server is dead and it does not know: its kernel still takes and
    acknowledges everything that the application sends, and nothing arrives.

Why it matters
    To the application's kernel all is well: every packet and every keepalive is acknowledged, so tcp_user_timeout and
    keepalives never strike, and neither does a pre-ping's lack of an answer. A request waits for ever.

What to do
    `pool_recycle` below the time after which it happens. Nothing else in the pool or in libpq helps: only a deadline
    in the application's own code does (or a proxy that checks its backends).
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class BlackHoleProxy(Fault):
    """After the idle timeout everything is acknowledged, and nothing passed on."""

    code = "black-hole-proxy"
    title = "acknowledged and not passed on, when idle"
    stands_for = "proxy that hangs or whose backend died"
    counts_keepalives = False
    acknowledges = True

    def on_idle(self, flow: Flow) -> None:
        """Stop passing on."""
        flow.stop_forwarding()
