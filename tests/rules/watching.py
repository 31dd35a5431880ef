"""Watching simulated sessions: snapshots at the pace of the product's own looks, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dbdoctor.history import History
from dbdoctor.model.leaks import LeaksReport, WatchOptions
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.session import CLIENT, IDLE_IN_TRANSACTION, Detail, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Product, Target
from dbdoctor.rules.sessions import judge_leaks
from dbdoctor.watch.pace import Pace
from tests.rules.pool_model import START

TARGET = Target(Product.POSTGRESQL, (), user="app", database="shop")
FACTS = ServerFacts("PostgreSQL", "18.1", 180001, user="app", database="shop")


def watch(
    at: Callable[[float], Iterable[Session]],
    *,
    since: float = 0.0,
    seconds: float = 24.0,
    interval: float = 1.0,
    options: WatchOptions | None = None,
    explain: Callable[[Session], Detail] | None = None,
    target: Target = TARGET,
    limit: int = 500,
    **more: Any,
) -> LeaksReport:
    """What is said at the end; `at(t)` gives the sessions at second t, `more` goes into each snapshot."""
    history = History(options or WatchOptions(idle_in_transaction=5.0))
    pace = Pace(interval)
    beat = moment = since
    while beat <= since + seconds + 1e-9:
        sessions = tuple(at(moment))
        slots = Slots(limit, 3, len(sessions) + 1)
        snapshot = Snapshot(START + moment, sessions, slots, **more)
        wanted = history.wanted(snapshot)
        if explain is not None:
            chosen = {s.id: explain(s)._replace(changed_at=s.changed_at) for s in sessions if s.id in wanted.details}
            snapshot = Snapshot(START + moment, sessions, slots, **{**more, "details": chosen})
        history.add(snapshot)
        beat += interval
        moment = min(beat + pace.spread(), since + seconds)
    return judge_leaks(history, target, FACTS, with_sessions=True)


def session(number: int = 1, **changes: Any) -> Session:
    """An idle session that rests in a pool; times in `changes` are seconds after START."""
    for name in ("started_at", "changed_at", "transaction_at", "statement_at"):
        value = changes.get(name)
        if value is not None:
            changes[name] = START + value
    plain = Session(
        number, START - 100, "app", "shop", "shop", "10.0.0.5", 40000, "idle", START - 90, None, START - 90, None,
        False, None, CLIENT, False, None, 4242,
    )  # fmt: skip
    return plain._replace(**changes)


def in_transaction(number: int = 1, since: float = 0.0, **changes: Any) -> Session:
    """A session idle in transaction since then."""
    given = {"transaction_at": since - 0.01, "statement_at": since - 0.005, **changes}
    return session(number, state=IDLE_IN_TRANSACTION, changed_at=since, **given)


def codes(report: LeaksReport) -> set[str]:
    return {finding.code for finding in report.findings}


def verdicts(report: LeaksReport) -> dict[str, str]:
    """By application name."""
    return {group.key.application or "": group.verdict.value for group in report.groups}
