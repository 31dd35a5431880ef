"""Records of trials, to be bent a field at a time."""

from __future__ import annotations

from typing import Any

from dbdoctor.model.trial import Case, ErrorSeen, FaultFacts, Ghost, Host, Outcome, PoolPlan, Record, Request, Scenario

HOST = Host(15, (7200, 75, 9), (7200, 75, 9))
SILENT = FaultFacts("silent-drop", "dropped in silence", "firewalls", Scenario.IDLE, True)
CLOSED = FaultFacts("closed", "closed in order", "HAProxy", Scenario.IDLE, False)
LOST = ErrorSeen(
    "OperationalError", "psycopg2.OperationalError", None, "server closed the connection unexpectedly", "execute", True
)


def plan(name: str = "default", **fields: Any) -> PoolPlan:
    return PoolPlan(name, name, **fields)


def ok(began: float, seconds: float = 0.01, round_number: int = 0, session: int = 7) -> Request:
    return Request(round_number, began, seconds, session=session)


def failed(began: float, seconds: float = 0.01, error: ErrorSeen = LOST) -> Request:
    return Request(0, began, seconds, error)


def hung(began: float) -> Request:
    return Request(0, began, None)


def record(*requests: Request, cut_off_after: float = 35.0, **fields: Any) -> Record:
    values = {"warm": (6,), "cut_off_after": cut_off_after, "warm_seconds": 0.1, **fields}
    return Record("silent-drop", "default", 4.0, requests, **values)


def case(fault: str, pool: str, outcome: Outcome | None, **fields: Any) -> Case:
    values = {"failed": 0 if outcome is Outcome.SURVIVES else 1, "requests": 2, **fields}
    return Case(fault, pool, testable=outcome is not None, outcome=outcome, **values)


def ghost(session: int = 6, *, locks: int = 0) -> Ghost:
    return Ghost(session, "idle in transaction" if locks else "idle", bool(locks), locks)
