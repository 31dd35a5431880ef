r"""An administrator kills the sessions

What it means
    `KILL`, a job that ends sleeping sessions, or ALTER DATABASE ... SET SINGLE_USER WITH ROLLBACK IMMEDIATE ends the
    sessions; here only those of this trial are ended.

Why it matters
    The server's own words (error 596, `Cannot continue the execution because the session is in the kill state`) are
    lost: Microsoft's driver says `08S01 TCP Provider: Error code 0x2746 (10054)`, FreeTDS something that SQLAlchemy
    does not take for a disconnect. All connections of a pool are dead at once.

    Session recovery makes it worse: with ConnectRetryCount (1 by default) Microsoft's driver logs in anew without a word
    and goes on in the transaction of the session that is gone. The server refuses that with error 3971, `The server
    failed to resume the transaction`, which SQLAlchemy's dialect for pyodbc does not take for a disconnect either: it is
    raised by the test at checkout, and without a test by every use of that connection.

What to do
    `pool_pre_ping=True` and, in the connection string of Microsoft's driver, `ConnectRetryCount=0` hide it between
    requests. With FreeTDS, and where session recovery is to stay, tell SQLAlchemy which errors end a connection, so that
    the test at checkout replaces it:

        @event.listens_for(engine, "handle_error")
        def ends_the_connection(context):
            said = str(context.original_exception)
            if re.search(r"\(3971\)|\[FreeTDS\].*Unknown error", said):
                context.is_disconnect = True

    What a request was doing when it happened must be repeated by the application.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.relay import Relay
from dbdoctor.model.target import Product

# When the sessions are ended, in times of the idle timeout: the server may take its time.
_WHEN = 0.5


class Killed(Fault):
    """The server ends the trial's own sessions while they are idle."""

    code = "killed"
    title = "ended by KILL when idle"
    stands_for = "KILL"
    products = (Product.SQLSERVER,)
    counts_keepalives = False
    by_idleness = False

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._doomed: set[Flow] = set()

    def begin(self, relay: Relay) -> None:
        """Have them ended when it is time."""
        relay.loop.after(self.idle * _WHEN, lambda: self._strike(relay))

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Pass it on; what is used before its session has ended says nothing."""
        if flow in self._doomed:
            flow.relay.late = True
        flow.to_server(data)

    def server_closed(self, flow: Flow) -> None:
        """The session has ended."""
        self._doomed.discard(flow)
        super().server_closed(flow)

    def _strike(self, relay: Relay) -> None:
        self._doomed = {flow for flow in relay.flows if flow.has_session}
        relay.terminate()
