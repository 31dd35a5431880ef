"""An administrator kills the sessions

What it means
    `KILL`, a job that ends sleeping sessions, or ALTER DATABASE ... SET SINGLE_USER WITH ROLLBACK IMMEDIATE ends the
    sessions; here only those of this trial are ended.

Why it matters
    The server's own words (error 596, `Cannot continue the execution because the session is in the kill state`) are
    lost: Microsoft's driver says `08S01 TCP Provider: Error code 0x2746 (10054)`, FreeTDS something that SQLAlchemy
    does not take for a disconnect. All connections of a pool are dead at once. With session recovery (ConnectRetryCount,
    1 by default) Microsoft's driver may log in anew without a word, on a server that takes part.

What to do
    `pool_pre_ping=True` with Microsoft's driver hides it between requests. What a request was doing when it happened
    must be repeated by the application.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.relay import Relay
from dbdoctor.model.target import Product


class Killed(Fault):
    """The server ends the trial's own sessions once they have been idle for the idle timeout."""

    code = "killed"
    title = "ended by KILL when idle"
    stands_for = "KILL"
    products = (Product.SQLSERVER,)
    counts_keepalives = False

    def begin(self, relay: Relay) -> None:
        """Have them ended when it is time."""
        relay.loop.after(self.idle, relay.terminate)
