"""An idle connection under TLS is closed without a close_notify

What it means
    Whoever closes an idle connection does not take part in its TLS (HAProxy in TCP mode, a balancer), or does not
    bother: a FIN comes, and no close_notify before it.

Why it matters
    The next use fails at once with `SSL SYSCALL error: EOF detected`. The same text comes after a reset and after
    keepalives that went unanswered: the text does not tell which it was.

What to do
    `pool_pre_ping=True` or `pool_recycle` below the timeout, as for closed.
"""

from __future__ import annotations

from dbdoctor.faults.flow import Flow
from dbdoctor.faults.tls import EndsTls


class TlsClose(EndsTls):
    """FIN to both ends after the idle timeout, without close_notify."""

    code = "tls-close"
    title = "closed when idle, under TLS, without close_notify"
    stands_for = "HAProxy in TCP mode, balancers"

    def on_idle(self, flow: Flow) -> None:
        """Close both ends."""
        flow.end_client()
        flow.end_server()
