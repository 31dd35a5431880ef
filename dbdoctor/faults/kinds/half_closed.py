"""An idle connection is closed towards the application, and the server is not told

What it means
    A proxy or a host in between ends the application's half of the connection and forgets, or cannot reach, the other:
    the application gets a FIN, the server nothing.

Why it matters
    The application's next use fails at once, as after an orderly close; but the server keeps a session that nobody
    has, with its locks if it was in a transaction, until its own keepalive gives up: two hours and more by default.

What to do
    `pool_pre_ping=True` or `pool_recycle` below the timeout, for the application; `tcp_keepalives_idle` in the server's
    settings (or in `options`) for the sessions that stay.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow


class HalfClosed(Fault):
    """FIN to the application after the idle timeout; the server's end stays."""

    code = "half-closed"
    title = "closed towards the application alone, when idle"
    stands_for = "proxy that dies half, lost FIN"
    counts_keepalives = False
    acknowledges = True

    def on_idle(self, flow: Flow) -> None:
        """Close one half."""
        flow.forget_server()
        flow.half_close_client()

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on until then."""
        if not flow.struck:
            flow.to_server(data)

    def client_closed(self, flow: Flow) -> None:
        """Tell the server until then."""
        if not flow.struck:
            flow.end_server()
