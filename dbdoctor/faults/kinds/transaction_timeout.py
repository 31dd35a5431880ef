"""The server ends sessions whose transaction takes too long

What it means
    PostgreSQL's `transaction_timeout` (17 and later) ends a session whose transaction is older than that, however busy
    it is. Here it is set on the sessions of this trial only, and the trial's transactions last longer.

Why it matters
    A long report or migration fails in its middle, and its work is undone. No pool setting can help. The driver says
    `server closed the connection unexpectedly`; the reason (SQLSTATE 25P04) is lost on the way.

What to do
    Shorter transactions, or for this one piece of work: `SET LOCAL transaction_timeout = 0`.
"""

from __future__ import annotations

from dbdoctor.faults.server_setting import ServerSetting
from dbdoctor.model.trial import Scenario


class TransactionTimeout(ServerSetting):
    """The server ends sessions in a long transaction."""

    code = "transaction-timeout"
    title = "ended by the server during a long transaction"
    stands_for = "transaction_timeout"
    scenario = Scenario.TRANSACTION
    setting = "transaction_timeout"
    since = 17
