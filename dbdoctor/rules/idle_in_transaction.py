"""The server lets a session stay idle in transaction for ever

What it means
    `idle_in_transaction_session_timeout` is 0 for this role: a session that began a transaction and then does nothing
    keeps it open until its client ends it.

Why it matters
    SQLAlchemy begins a transaction with the first statement, and it lasts until commit, rollback or close. A code path
    that forgets them, or waits for another service in between, keeps locks, holds back vacuum in the whole database,
    and takes a connection from the pool. A limit turns a slow outage into an error with a line number.

What to do
    Give the application's role a limit, longer than the longest pause it really needs inside a transaction. It holds
    for new sessions.

        ALTER ROLE "app" SET idle_in_transaction_session_timeout = '5min';

    The application then gets a broken connection in that place (SQLSTATE 25P03); `pool_pre_ping` does not hide it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.rules._common import role_in_sql, unseen

CODES = ("idle-in-transaction-unlimited",)

_SETTING = "idle_in_transaction_session_timeout"


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Whether the server ends sessions that are idle in transaction, for this role."""
    if target.product is not Product.POSTGRESQL:
        return
    if not facts.settings:
        yield unseen("idle-in-transaction-unlimited", facts, _SETTING)
        return
    if facts.settings.get(_SETTING, 1.0) > 0:
        return
    now = int((facts.extra.get("states") or {}).get("idle_in_transaction") or 0)
    seen = f"; {now} of the sessions we may see are idle in transaction now" if now else ""
    yield Finding(
        code="idle-in-transaction-unlimited",
        severity=Severity.INFO,
        title="a session may stay idle in transaction for ever",
        why=f"one forgotten commit keeps its locks, holds back vacuum and takes a pooled connection for good{seen}",
        fix="give the role a limit longer than the longest pause it needs inside a transaction",
        command=f"ALTER ROLE {role_in_sql(facts)} SET {_SETTING} = '5min';",
        evidence={f"{_SETTING}_seconds": 0, "idle_in_transaction": now},
    )
