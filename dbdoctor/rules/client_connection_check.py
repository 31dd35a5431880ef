"""The server finishes queries whose client is gone

What it means
    `client_connection_check_interval` is 0 and `statement_timeout` is 0 for this role: while a statement runs, the
    server does not look whether anybody still waits for the answer, and nothing limits how long it runs.

Why it matters
    A client that gives up (a timeout, a killed worker, a deploy) closes its connection, and its statement runs on to
    its end: with its locks, its slot, and its share of the machine. Retries put more of the same beside it.

What to do
    Let the server look every few seconds (PostgreSQL 14 and later, on Linux and macOS), and limit statements:

        ALTER ROLE "app" SET client_connection_check_interval = '10s';
        ALTER ROLE "app" SET statement_timeout = '30s';
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.rules._common import is_near, role_in_sql

CODES = ("client-connection-check-off",)

_SETTING = "client_connection_check_interval"


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Whether an abandoned statement ends; only where the server has the setting (14 and later)."""
    if target.product is not Product.POSTGRESQL or facts.pooler or is_near(facts, target):
        return
    if facts.settings.get(_SETTING) != 0 or facts.settings.get("statement_timeout") != 0:
        return
    yield Finding(
        code="client-connection-check-off",
        severity=Severity.INFO,
        title="a statement whose client is gone runs on to its end",
        why="client_connection_check_interval and statement_timeout are both off: what an application gave up on keeps "
        "its locks and its slot, and a retry runs beside it",
        fix="let the server look for the client while a statement runs",
        command=f"ALTER ROLE {role_in_sql(facts)} SET {_SETTING} = '10s';",
        evidence={f"{_SETTING}_seconds": 0, "statement_timeout_seconds": 0},
    )
