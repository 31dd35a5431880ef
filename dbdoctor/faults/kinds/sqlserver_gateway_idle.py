"""Azure's gateway resets a connection on which no statement came for 30 minutes

What it means
    With the connection policy Proxy (the default from outside Azure, and through a private endpoint) every byte to
    Azure SQL Database passes a gateway. It looks at the statements, not at the packets: a connection without one for 30
    minutes is reset, however often TCP keepalives went by. With the policy Redirect there is no such limit.

Why it matters
    Microsoft's driver sends keepalives every 30 s, which keeps firewalls and load balancers on the way content, and is
    of no use here. After a quiet half hour each pooled connection fails at its next use, with `08S01 TCP Provider: Error
    code 0x68 (104)`; FreeTDS says `Write to the server failed (20006)`.

What to do
    `pool_recycle` below 30 minutes (1500 s). With Microsoft's driver `pool_pre_ping=True` helps, too, but only with
    `ConnectRetryCount=0` in its connection string: else it recovers the session by itself, into a transaction that is
    gone, and the test raises error 3971. FreeTDS's error at the test is not one that SQLAlchemy takes for a disconnect:
    `dbdoctor explain killed` has the lines that tell it. From inside Azure the connection policy Redirect does away
    with the limit.
"""

from __future__ import annotations

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.flow import Flow
from dbdoctor.model.target import Product


class GatewayIdle(Fault):
    """RST to both ends when no data came for the idle timeout, keepalives or not."""

    code = "azure-gateway-idle"
    title = "reset by Azure's gateway for want of statements"
    stands_for = "Azure SQL Database, connection policy Proxy (30 min)"
    products = (Product.SQLSERVER,)
    counts_keepalives = False
    by_default = True

    def on_idle(self, flow: Flow) -> None:
        """Cut both ends (reported by clients as a reset: MicrosoftDocs/azure-docs#51547)."""
        flow.reset_client()
        flow.reset_server()
