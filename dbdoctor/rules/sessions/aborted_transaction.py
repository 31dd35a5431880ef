"""A transaction failed and was never rolled back

What it means
    A statement in the transaction raised an error, and the session has been idle since, for longer than the threshold
    (`--idle-in-transaction`): state `idle in transaction (aborted)`. Every further statement in it fails with
    `current transaction is aborted, commands ignored until end of transaction block` (SQLSTATE 25P02).

Why it matters
    Somebody caught the exception and went on without rollback or close. The connection is lost to its pool; if it is
    used again, it fails where nothing is wrong. A savepoint's locks may still be held.

What to do
    Roll back where the exception is caught, or let a context manager do it: `with engine.begin() as connection:`,
    `with Session(engine) as session:`. In a web framework, close the session in the request's teardown, which also runs
    after errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.model.session import ABORTED
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, row, sessions_of

CODES = ("aborted-transaction",)


def judge(watched: Watched) -> Iterator[Judged]:
    """The sessions of each group whose transaction failed and waits to be rolled back."""
    now = watched.now
    for group in watched.groups:
        lives = sorted(
            (
                life
                for life in group.in_transaction
                if life.session.state == ABORTED
                and life.aborted_for(now) >= watched.too_long
                and (life.spared is None or life.is_pooled)
            ),
            key=lambda life: -life.aborted_for(now),
        )
        if not lives:
            continue
        longest = format_duration(lives[0].aborted_for(now))
        number = count(len(lives), "failed transaction has", "failed transactions have")
        finding = Finding(
            code="aborted-transaction",
            severity=Severity.ERROR,
            title=f"{number} not been rolled back for up to {longest}: {group.key.shown}",
            why="the connection is lost to its pool, and whoever uses it next gets an error that is not theirs",
            fix="roll back where the exception is caught, or let `with engine.begin()` or `with Session(engine)` do it",
            command=watched.remedy("end-idle-in-transaction", role=group.key.user),
            evidence={"sessions": len(lives), "longest_seconds": round(lives[0].aborted_for(now), 3)},
            rows=tuple(row(life, now, "aborted") for life in lives[:MOST_ROWS]),
            group=group_of(group.key),
            sessions=sessions_of(lives),
        )
        reason = f"{len(lives)} aborted and not rolled back for up to {longest}"
        yield Judged(finding, group.key, Verdict.LEAK, tuple(life.session.identity for life in lives), reason)
