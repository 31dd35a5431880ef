r"""The database is not available for some seconds, and says so in the session

What it means
    While Azure moves a database to another node, or a mirrored one changes roles, sessions may stay open and their
    statements fail: error 40613 (`Database ... is not currently available`), 40197, 40501, 10928. Here the relay answers
    the statements so; the server is not told.

Why it matters
    Such an error comes as SQLSTATE 42000, a programming error. SQLAlchemy does not take it for a disconnect, so the
    connection stays in the pool, and a test at checkout raises the error to the application instead of replacing it.

What to do
    Retry the whole transaction, with a pause, on these error numbers. So that a test at checkout replaces the connection
    instead of raising them, tell SQLAlchemy that they end it:

        @event.listens_for(engine, "handle_error")
        def ends_the_connection(context):
            said = str(context.original_exception)
            if re.search(r"\((40613|40197|40501|10928)\)", said):
                context.is_disconnect = True
"""

from __future__ import annotations

from dbdoctor.faults.fault import Surroundings
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.outage import Outage
from dbdoctor.faults.relay import Relay
from dbdoctor.faults.tds_messages import RPC, ClientMessages, error_reply
from dbdoctor.model.target import Product
from dbdoctor.probe.tds.wire import SQL_BATCH

_NUMBER = 40613
_WORDS = "Database '...' on server '...' is not currently available. Please retry the connection later."


class SessionError(Outage):
    """Statements are answered by error 40613 until the outage is over; transactions begin and end as before."""

    code = "session-error-40613"
    title = "statements fail for some seconds, the session stays"
    stands_for = "Azure SQL Database during a failover"
    products = (Product.SQLSERVER,)
    away = False  # it answers on sessions that stay, which is what makes it hard

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._said: dict[Flow, ClientMessages] = {}

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """In a session that is encrypted nobody can answer but the server."""
        if around.encrypted:
            return (
                "not testable here, because the session is encrypted and only the server could answer in it; "
                "run with a server of SQL Server that takes `Encrypt=no`"
            )
        return super().unable(around)

    def strike(self, relay: Relay) -> None:
        """Nothing is closed."""

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on, or answer a statement oneself."""
        if not self.under_way:
            flow.to_server(data)
            return
        for message in self._said.setdefault(flow, ClientMessages()).feed(data):
            if message.kind in (SQL_BATCH, RPC):
                flow.to_client(error_reply(_NUMBER, _WORDS))
            else:
                flow.to_server(message.data)
