"""Connections are closed, and new ones are accepted and then hear nothing

What it means
    The server, or a proxy before it, is up and not well: it accepts, and does not answer the login. So it is with a
    server that swaps, a proxy without a backend, a full accept queue.

Why it matters
    The pool has to log in anew, and does it inside the request. Without connect_timeout that request never returns:
    neither keepalives nor tcp_user_timeout help, for everything that was sent is acknowledged.

What to do
    `connect_timeout` in the connection's arguments (seconds, for each address), and a retry in the application.
"""

from __future__ import annotations

from dbdoctor.faults.flow import Flow
from dbdoctor.faults.outage import Outage


class LoginStall(Outage):
    """Everything is closed; who connects in the next seconds never gets an answer."""

    code = "login-stall"
    title = "closed when idle, then logins that stall"
    stands_for = "overloaded server, proxy without a backend"
    stalls_login = True

    def opened(self, flow: Flow) -> None:
        """Connect, or do nothing."""
        if not self.under_way:
            flow.dial()
