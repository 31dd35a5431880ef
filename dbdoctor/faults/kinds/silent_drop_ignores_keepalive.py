"""An idle connection's packets vanish, and keepalives do not count as use

What it means
    As silent-drop, but the clock of the device is one that only data restarts: it looks into the stream, or the drop
    has nothing to do with idleness (a failed link, a host that lost its power, a laptop that changed its network).

Why it matters
    Keepalives do not keep such a connection. They can still find out that it is gone, while nobody uses it; a
    statement that was sent before they did waits for the kernel's retransmissions.

What to do
    `pool_recycle` below the timeout, or `pool_pre_ping=True` together with `tcp_user_timeout`, which bounds what the
    ping can wait for.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class SilentDropIgnoresKeepalive(Fault):
    """Packets of a flow without data are lost in the kernel, both ways."""

    code = "silent-drop-ignores-keepalive"
    title = "dropped in silence when idle, keepalives or not"
    stands_for = "inspecting firewall, failed link, lost host"
    counts_keepalives = False
    needs_silence = True
    by_default = True

    def on_idle(self, flow: Flow) -> None:
        """Forget the flow."""
        flow.silence()
