"""Connections are closed, and the server refuses new logins for some seconds

What it means
    After an incident every pool logs in anew at the same time, and the server has no slot left: it answers
    `FATAL: sorry, too many clients already` (SQLSTATE 53300) until some have gone.

Why it matters
    A pool that would have recovered by itself passes the refusal on to its requests. psycopg2 gives no SQLSTATE for an
    error at login, only the text.

What to do
    Fewer and smaller pools, so that all of them fit (`dbdoctor recommend`), and a retry with a pause in the
    application. Keepalives avoid the logins: what is not dropped need not be replaced.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Surroundings
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.outage import Outage
from dbdoctor.faults.startup import GSSENC_REQUEST, NO, SSL_REQUEST, FirstMessages, error_response
from dbdoctor.model.target import Product


class LoginRefused(Outage):
    """Everything is closed; who connects in the next seconds is told that there is no slot."""

    code = "reconnect-refused"
    title = "closed when idle, then logins that are refused"
    stands_for = "too many clients, reconnect storm"
    products = (Product.POSTGRESQL,)

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._first: dict[Flow, FirstMessages] = {}

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Where the driver would not listen to a server without TLS."""
        if around.insists_on_tls:
            return (
                "not testable here, because the login is encrypted; "
                "run with a server that may be used without TLS, for example the target `demo`"
            )
        return super().unable(around)

    def opened(self, flow: Flow) -> None:
        """Connect, or answer oneself."""
        if self.under_way:
            self._first[flow] = FirstMessages()
        else:
            flow.dial()

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on, or refuse."""
        first = self._first.get(flow)
        if first is None:
            flow.to_server(data)
            return
        first.feed(data)
        while (found := first.next()) is not None:
            if found[0] in (SSL_REQUEST, GSSENC_REQUEST):
                flow.to_client(NO)
            else:
                flow.to_client(error_response("53300", "sorry, too many clients already"))
                flow.end_client()
