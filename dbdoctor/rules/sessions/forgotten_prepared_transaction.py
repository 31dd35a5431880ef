"""A prepared transaction waits for its second phase, and nobody comes

What it means
    `PREPARE TRANSACTION` was the first half of a two-phase commit; the second half (`COMMIT PREPARED` or
    `ROLLBACK PREPARED`) has not come for longer than the threshold (`--idle-in-transaction`). Such a transaction has no
    session at all: it is in no list of sessions, and outlives a restart of the server.

Why it matters
    It keeps its locks, and vacuum from cleaning anything younger, for ever. A coordinator decides within milliseconds; one
    that has not done so for a minute has lost it.

What to do
    Ask the coordinator's log what became of it, then end it, as its owner or a superuser, in its database:

        ROLLBACK PREPARED 'name';     -- or COMMIT PREPARED 'name';

    In SQLAlchemy, `create_engine` with `twophase=True` Sessions needs `Session.commit()` or `rollback()` after
    `prepare()`; at start, `connection.recover_twophase()` lists what an earlier process left behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.model.snapshot import PreparedTransaction
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import group_of, sessions_of

CODES = ("forgotten-prepared-transaction",)

_SAME_TIME = 2.0


def judge(watched: Watched) -> Iterator[Judged]:
    """Prepared transactions older than the threshold, with the session that prepared them if it is still there."""
    for prepared in watched.history.prepared:
        age = watched.now - prepared.prepared_at
        if age < watched.too_long:
            continue
        life = _prepared_by(prepared, watched)
        key = watched.history.display_key(life.key) if life is not None else None
        name = prepared.name.replace("'", "''")
        finding = Finding(
            code="forgotten-prepared-transaction",
            severity=Severity.ERROR,
            title=f"a prepared transaction has waited for its second phase for {format_duration(age)}",
            why="it keeps its locks and holds vacuum back for ever, with no session, and outlives a restart",
            fix="ask its coordinator what was decided, then end it in its own database",
            command=f"ROLLBACK PREPARED '{name}';  -- or COMMIT PREPARED, in database {prepared.database}",
            evidence={
                "name": prepared.name,
                "age_seconds": round(age, 3),
                "owner": prepared.owner,
                "database": prepared.database,
                "holds_back_transactions": prepared.holds_back,
            },
            rows=(f"{prepared.name}  of {prepared.owner} in {prepared.database}",),
            group=group_of(key) if key is not None else None,
            sessions=sessions_of([life]) if life is not None else (),
        )
        reason = f"a prepared transaction has waited for {format_duration(age)}"
        yield Judged(finding, key, Verdict.LEAK if key is not None else None, (), reason)


def _prepared_by(prepared: PreparedTransaction, watched: Watched) -> Life | None:
    """The session whose last statement prepared it; PostgreSQL itself keeps no record of that."""
    alike = [
        life
        for life in watched.history.lives.values()
        if (detail := life.explained) is not None
        and (detail.statement or "").lstrip().upper().startswith("PREPARE")
        and life.session.changed_at is not None
        and abs(life.session.changed_at - prepared.prepared_at) < _SAME_TIME
    ]
    named = [life for life in alike if life.explained and prepared.name in (life.explained.statement or "")]
    chosen = named or alike
    return chosen[0] if len(chosen) == 1 else None
