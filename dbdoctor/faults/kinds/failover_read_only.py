"""After a failover the application connects to a server that takes no writes

What it means
    The primary is demoted or replaced. Its connections are closed, and for some seconds the name or address still
    leads to a server that answers and only reads: the old primary, or a replica. Then it leads to the new primary.

Why it matters
    A connection that was made in between stays in the pool, answers every pre-ping, and fails every write with
    `cannot execute ... in a read-only transaction`: that is no disconnect, so nothing replaces it, for as long as the
    process lives.

What to do
    `target_session_attrs=read-write` in the connection's arguments: libpq then refuses a server that only reads. Or
    `pool_recycle`, which bounds how long such a connection stays.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Surroundings
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.outage import Outage
from dbdoctor.faults.startup import GSSENC_REQUEST, NO, SSL_REQUEST, FirstMessages, is_startup, with_option
from dbdoctor.model.target import Product

_OPTION = "default_transaction_read_only=on"


class FailoverReadOnly(Outage):
    """Everything is closed; who connects in the next seconds gets a session that only reads."""

    code = "failover-read-only"
    title = "failover to a server that only reads"
    stands_for = "demoted primary, replica behind the old name"
    products = (Product.POSTGRESQL,)
    writes = True

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._first: dict[Flow, FirstMessages] = {}

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Where the first message cannot be read or changed."""
        if around.encrypted or around.insists_on_tls:
            return (
                "not testable here, because the login is encrypted; "
                "run with a server that may be used without TLS, for example the target `demo`"
            )
        if around.pooler:
            return f"not testable here, because {around.pooler} sits between; run with the server's own address"
        return super().unable(around)

    def opened(self, flow: Flow) -> None:
        """Connect; while the wrong server answers, the first message is looked at."""
        if self.under_way:
            self._first[flow] = FirstMessages()
        flow.dial()

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on, the first message with the option that makes the session one that only reads."""
        first = self._first.get(flow)
        if first is None:
            flow.to_server(data)
            return
        first.feed(data)
        while (found := first.next()) is not None:
            code, message = found
            if code in (SSL_REQUEST, GSSENC_REQUEST):
                flow.to_client(NO)
                continue
            del self._first[flow]
            flow.to_server((with_option(message, _OPTION) if is_startup(code) else message) + first.rest())
            return
