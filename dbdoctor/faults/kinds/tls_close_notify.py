"""An idle connection under TLS is closed in order, with a close_notify

What it means
    A proxy that ends TLS itself, or a server, closes an idle connection the way TLS has it: it sends the alert
    close_notify and then a FIN.

Why it matters
    The next use fails at once with `SSL connection has been closed unexpectedly`: this text, and no other, tells that
    somebody closed the connection on purpose.

What to do
    `pool_pre_ping=True` or `pool_recycle` below the timeout, as for closed.
"""

from __future__ import annotations

from dbdoctor.faults.flow import Flow
from dbdoctor.faults.tls import EndsTls


class TlsCloseNotify(EndsTls):
    """close_notify and FIN to the application, FIN to the server, after the idle timeout."""

    code = "tls-close-notify"
    title = "closed in order when idle, under TLS, with close_notify"
    stands_for = "proxy that ends TLS"

    def on_idle(self, flow: Flow) -> None:
        """Close both ends."""
        self.session(flow).say_goodbye()
        flow.end_client()
        flow.end_server()
