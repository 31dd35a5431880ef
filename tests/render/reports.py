"""Reports of `leaks` built by hand, to be bent one field at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.leaks import (
    Event,
    Forecast,
    GroupKey,
    GroupReport,
    LeaksReport,
    Observed,
    SessionReport,
    Trend,
    Verdict,
)
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.session import ClientProcess, Detail, Session
from tests.replacing import replace

NOW = datetime(2026, 1, 15, 14, 3, 22, tzinfo=UTC).timestamp()
FACTS = ServerFacts("PostgreSQL", "18.4", 180004, uptime=792000.0, is_standby=False, hidden_sessions=0)


def group(
    application: str | None = "web",
    verdict: Verdict = Verdict.OK,
    *,
    user: str | None = "app",
    database: str | None = "shop",
    client: str | None = "10.0.0.7",
    process: int | None = None,
    sessions: int = 5,
    active: int = 1,
    in_transaction: int = 0,
    hidden: int = 0,
    **other: Any,
) -> GroupReport:
    """A healthy pool at rest, unless said otherwise."""
    other.setdefault("counts", (sessions,) * 12)
    other.setdefault("trend", Trend(0.0, -0.2, 0.2, 24.0))
    other.setdefault("longest_idle", 41.0)
    return GroupReport(
        GroupKey(application, user, database, client, process),
        sessions,
        active,
        sessions - active - in_transaction - hidden,
        in_transaction,
        hidden,
        verdict,
        **other,
    )


LEAK = group(
    "checkout-api",
    Verdict.LEAK,
    client="10.0.0.5",
    sessions=12,
    active=1,
    in_transaction=9,
    reasons=("9 idle in transaction for up to 92 s, 3 of them hold locks", "grows and never shrinks"),
    trend=Trend(2.4, 1.9, 2.9, 24.0),
    counts=(2, 2, 3, 4, 4, 5, 7, 8, None, 9, 11, 12),
    opened=10,
    oldest_transaction=92.0,
)
GROWING = group(
    "reports",
    Verdict.LEAK,
    user="reporting",
    client="127.0.0.1",
    sessions=17,
    active=0,
    reasons=("17 sessions used once and kept: an engine per request?",),
    trend=Trend(12.0, 11.1, 12.9, 24.0),
    counts=tuple(range(6, 18)),
    opened=11,
    longest_idle=310.0,
)
SUSPECT = group(
    "billing-worker",
    Verdict.SUSPECT,
    client="10.0.0.9",
    sessions=3,
    active=0,
    in_transaction=1,
    reasons=("1 idle in transaction for 31 s",),
    returned=2,
    oldest_transaction=31.0,
)
UNKNOWN = group(
    None,
    Verdict.UNKNOWN,
    user="other",
    database=None,
    client=None,
    sessions=4,
    active=0,
    hidden=4,
    reasons=("4 sessions are hidden from us",),
    trend=None,
    longest_idle=None,
)
PSQL = group("psql", sessions=1, client="local", spared="psql: a person at work", in_transaction=0, active=0)
IDLE_FINDING = Finding(
    code="idle-in-transaction",
    severity=Severity.ERROR,
    title="9 sessions of checkout-api are idle in transaction for up to 92 s, 3 of them hold locks",
    why="Their transactions keep 9 slots and 3 row locks, and vacuum cannot clean what is newer than 92 s.",
    fix="close the Session in a `with` block, or end these now:",
    command="dbdoctor leaks postgresql://app@db1:5432/shop --terminate 4711",
    evidence={"longest_seconds": 92.0},
    rows=("4711 idle in transaction for 92 s, holds RowExclusiveLock on orders", "4712 idle in transaction for 88 s"),
    group={"application": "checkout-api", "user": "app", "database": "shop", "client": "10.0.0.5", "process": None},
    sessions=({"id": 4711, "started_at": NOW - 600},),
)
SLOTS_FINDING = Finding(
    code="slots-run-out",
    severity=Severity.WARNING,
    title="the slots run out in 2 min at the present rate, by reports",
    why="From then on every login is refused: FATAL: sorry, too many clients already.",
    fix="make one engine when the process starts, not one per request",
)
SKIPPED = Skipped("prepared-transactions", "pg_prepared_xacts may not be read", "GRANT pg_monitor TO app;")
GROUPS = (LEAK, GROWING, SUSPECT, UNKNOWN, group(), group("cron", client="10.0.0.8", sessions=1, active=0), PSQL)


def report(**other: Any) -> LeaksReport:
    """A bad night on a shop's server."""
    values: dict[str, Any] = {
        "target": "postgresql://app@db1:5432/shop",
        "observed": Observed(NOW - 24, NOW, 13, 2.0),
        "slots": Slots(100, 3, 62),
        "forecast": Forecast(146.0, 130.0, 166.0, ("reports", "checkout-api")),
        "groups": GROUPS,
        "findings": (IDLE_FINDING, SLOTS_FINDING),
        "skipped": (),
        "facts": FACTS,
    }
    return LeaksReport(**{**values, **other})


def healthy(**other: Any) -> LeaksReport:
    """A quiet one."""
    return report(**{"groups": (group(), PSQL), "findings": (), "forecast": None, "slots": Slots(100, 3, 7), **other})


def session(number: int = 4711, verdict: Verdict = Verdict.LEAK, **other: Any) -> SessionReport:
    """A session that is idle in transaction."""
    fields = {
        "user": "app",
        "database": "shop",
        "application": "checkout-api",
        "client": "10.0.0.5",
        "client_port": 50000 + number % 10000,
        "state": "idle in transaction",
        **{name: other.pop(name) for name in Session._fields if name in other},
    }
    made = Session(
        id=number,
        started_at=NOW - 600,
        changed_at=NOW - 92,
        transaction_at=NOW - 92,
        statement_at=NOW - 92,
        waits_for=None,
        writes=True,
        holds_back=None,
        **fields,
    )
    values: dict[str, Any] = {
        "reason": "idle in transaction for 92 s",
        "age": 600.0,
        "state_age": 92.0,
        "transaction_age": 92.0,
        "detail": Detail(NOW - 92, "SELECT stock FROM products WHERE id = 7 FOR UPDATE", 2, "RowExclusiveLock"),
        "process": ClientProcess(812, "python -m checkout.api --port 8000"),
    }
    return SessionReport(made, verdict, **{**values, **other})


def many(number: int) -> LeaksReport:
    """A report of so many groups, a third of them not well."""
    kinds = (LEAK, SUSPECT, group())
    groups = tuple(
        replace(kinds[i * 3 // number], key=GroupKey(f"service-{i}", "app", "shop", f"10.0.{i // 250}.{i % 250}"))
        for i in range(number)
    )
    return report(groups=groups)


EVENTS = (
    Event(
        NOW - 12, "found", "9 sessions of checkout-api are idle in transaction for up to 80 s", "idle-in-transaction"
    ),
    Event(NOW - 6, "lost", "lost the server: the connection was closed; trying to log in again"),
    Event(NOW - 2, "reconnected", "logged in again after 4.0 s"),
)
