"""A transaction is held open across long pauses

What it means
    The session does come back, but only after pauses in the middle of a transaction. Either a single pause lasted longer
    than the threshold (`--idle-in-transaction`), or one transaction has been open for three times the threshold and was
    idle for most of that time, in pauses of a second and more between its statements.

    A cursor that keeps fetching is not counted, nor people in psql, nor a leader with nothing but an advisory lock.

Why it matters
    Everything the transaction read or wrote stays locked, and the connection checked out, for the length of the pause:
    a remote call of 7 s inside a transaction makes a pool of 15 good for two requests a second. A process that polls
    within a transaction it never ends blocks every ALTER TABLE, and in REPEATABLE READ also vacuum.

What to do
    Commit before the remote call, and begin anew after it; read what is needed first, write at the end. A loop that
    polls needs a transaction each time: `with engine.begin() as connection:` inside the loop, not around it, or
    `engine.execution_options(isolation_level="AUTOCOMMIT")`.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.model.session import IDLE_IN_TRANSACTION
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._exempt import is_exempt
from dbdoctor.rules.sessions._watched import Group, Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, row, sessions_of

CODES = ("transaction-across-pauses",)

# An open transaction counts as lasting from this many thresholds on, if it was idle in this share of the samples, in
# pauses of a second and more: shorter ones are an application's own work between two statements.
_LASTING = 3.0
_MOSTLY = 0.75
_SHORTEST_PAUSE = 1.0
_FEWEST_MOVES = 2


def judge(watched: Watched) -> Iterator[Judged]:
    """Groups whose sessions pause in the middle of their transactions."""
    for group in watched.groups:
        long_pauses = sum(pool.long_pauses for pool in group.pools) + sum(life.long_pauses for life in group.lives)
        lasting = [life for life in group.in_transaction if _is_lasting(life, watched)]
        if lasting or long_pauses:
            yield _found(group, lasting, long_pauses, watched)


def _is_lasting(life: Life, watched: Watched) -> bool:
    age = life.transaction_age(watched.now)
    return (
        life.session.state == IDLE_IN_TRANSACTION
        and age is not None
        and age >= _LASTING * watched.too_long
        and life.moves >= _FEWEST_MOVES
        and life.idle_share >= _MOSTLY
        and life.mean_pause >= _SHORTEST_PAUSE
        and not life.fetches
        and not is_exempt(life, watched.now, watched.too_long)
    )


def _found(group: Group, lasting: list[Life], long_pauses: int, watched: Watched) -> Judged:
    now = watched.now
    # One pause that ended may have been bad luck; a second one, or a transaction that goes on so, is how it is written.
    certain = bool(lasting) or long_pauses > 1
    parts = []
    if long_pauses:
        parts.append(
            f"{count(long_pauses, 'pause')} of {format_duration(watched.too_long)} and more in the middle of a transaction"
        )
    if lasting:
        oldest = max(life.transaction_age(now) or 0.0 for life in lasting)
        parts.append(f"{count(len(lasting), 'transaction')} open for up to {format_duration(oldest)}, mostly idle")
    what = " and ".join(parts)
    finding = Finding(
        code="transaction-across-pauses",
        severity=Severity.ERROR if certain else Severity.WARNING,
        title=f"{what}: {group.key.shown}",
        why="what the transaction has touched stays locked, and its connection checked out, for as long as it pauses",
        fix="end the transaction before waiting for anything else, and begin anew after it",
        command=None,
        evidence={
            "long_pauses": long_pauses,
            "threshold_seconds": watched.too_long,
            "lasting_transactions": len(lasting),
            "oldest_transaction_seconds": max((life.transaction_age(now) or 0.0 for life in lasting), default=None),
        },
        rows=tuple(
            row(
                life,
                now,
                f"transaction open {format_duration(life.transaction_age(now) or 0.0)}",
                f"pauses of {format_duration(life.mean_pause)} on average",
            )
            for life in lasting[:MOST_ROWS]
        ),
        group=group_of(group.key),
        sessions=sessions_of(lasting),
    )
    verdict = Verdict.LEAK if certain else Verdict.SUSPECT
    paused = tuple(life.session.identity for life in group.lives if life.paused_in is not None)
    return Judged(finding, group.key, verdict, tuple(life.session.identity for life in lasting), what, paused)
