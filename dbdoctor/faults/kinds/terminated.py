"""An administrator ends the sessions

What it means
    `pg_terminate_backend`, a deployment's script or a pooler's RECONNECT ends the sessions; here only those of this
    trial are ended.

Why it matters
    psycopg2 says `server closed the connection unexpectedly` at the next use; the server's own words, `terminating
    connection due to administrator command`, are lost on the way. All connections of a pool are dead at once.

What to do
    `pool_pre_ping=True` hides it between requests. What a request was doing when it happened must be repeated by the
    application.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault, Surroundings
from dbdoctor.faults.relay import Relay
from dbdoctor.model.target import Product


class Terminated(Fault):
    """The server ends the trial's own sessions once they have been idle for the idle timeout."""

    code = "terminated"
    title = "ended by an administrator when idle"
    stands_for = "pg_terminate_backend"
    products = (Product.POSTGRESQL,)
    counts_keepalives = False
    by_idleness = False

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Behind a pooler, where a session of the server is not ours alone."""
        if around.pooler:
            return (
                f"not testable here, because {around.pooler} sits between, whose sessions are not ours alone; "
                "run with the server's own address"
            )
        return super().unable(around)

    def begin(self, relay: Relay) -> None:
        """Have them ended when it is time."""
        relay.strike_after(self.idle, relay.terminate)
