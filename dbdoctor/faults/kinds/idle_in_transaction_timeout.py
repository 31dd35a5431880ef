"""The server ends sessions that are idle in a transaction for too long

What it means
    PostgreSQL's `idle_in_transaction_session_timeout` ends a session whose transaction is open and that says nothing
    for so long. Here it is set on the sessions of this trial only, and the trial holds its transactions open.

Why it matters
    The request that comes back to its transaction fails, and its work is undone. No pool setting can help: the
    connection is checked out, not in the pool. The driver says `server closed the connection unexpectedly`; the reason
    (SQLSTATE 25P03) is lost on the way.

What to do
    Do not wait for anything else inside a transaction: commit or roll back first. The other connections of the pool
    are not affected, though SQLAlchemy replaces them too.
"""

from __future__ import annotations

from dbdoctor.faults.server_setting import ServerSetting
from dbdoctor.model.trial import Scenario


class IdleInTransactionTimeout(ServerSetting):
    """The server ends sessions that are idle in transaction."""

    code = "idle-in-transaction-timeout"
    title = "ended by the server when idle in transaction"
    stands_for = "idle_in_transaction_session_timeout"
    scenario = Scenario.IN_TRANSACTION
    setting = "idle_in_transaction_session_timeout"
    since = 10
