"""A pooler lends server sessions for one transaction at a time

What it means
    Between the application and the server stands a pooler in transaction (or statement) mode: each transaction may run
    in another server session, and what a session remembers is not there in the next one.

Why it matters
    What does not work, or works by luck: `SET` outside a transaction, `LISTEN`, advisory locks of the session,
    temporary tables across transactions, `WITH HOLD` cursors, and prepared statements (PgBouncer 1.21 and later can
    carry protocol-level ones, with max_prepared_statements). In statement mode transactions themselves are refused.

    A second pool in the application mostly holds client connections of the first.

What to do
    Let the pooler pool, and keep the application's side thin:

        create_engine(url, poolclass=NullPool)

    or a small pool without overflow. With asyncpg or psycopg 3 switch prepared statements off
    (`statement_cache_size=0`, `prepare_threshold=None`). Use `SET LOCAL` inside transactions, and a direct connection
    for LISTEN, migrations and advisory locks.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target

CODES = ("pooler-transaction-mode",)

_PREPARED = {
    "asyncpg": 'connect_args={"statement_cache_size": 0}',
    "psycopg": 'connect_args={"prepare_threshold": None}',
}


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Whether sessions are shared between transactions."""
    pooler = facts.pooler
    if pooler is None or pooler.mode == "session":
        return
    if pooler.mode is None:
        reason = f"{pooler.name} stands between, and does not say whether it shares sessions between transactions"
        yield Skipped("pooler-transaction-mode", reason, "ask its admin console: SHOW CONFIG; (pool_mode)")
        return
    prepared = _PREPARED.get(target.driver or "")
    yield Finding(
        code="pooler-transaction-mode",
        severity=Severity.INFO,
        title=f"{pooler.name} lends server sessions for one {pooler.mode} at a time",
        why="SET, LISTEN, session advisory locks, temporary tables and prepared statements do not carry over from one "
        f"{pooler.mode} to the next",
        fix="let the pooler pool: NullPool or a small pool without overflow in the application, SET LOCAL instead of SET",
        command=f"create_engine(url, poolclass=NullPool{f', {prepared}' if prepared else ''})",
        evidence={"name": pooler.name, "version": pooler.version, "mode": pooler.mode},
    )
