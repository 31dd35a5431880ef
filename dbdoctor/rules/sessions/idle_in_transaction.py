"""A session has been idle in transaction for too long

What it means
    The session began a transaction, its last statement ended, and since then it has sent nothing: no commit, no
    rollback, no further statement, for longer than the threshold (`--idle-in-transaction`, 60 s by default; the time is
    the server's own). In SQLAlchemy that is a Connection or Session that was checked out, used and never closed, or code
    that waits for something else (a remote call, a lock, a person) in the middle of a transaction.

    What it holds decides how much harm it does, and is said for each session:
    written rows (it has a transaction id: others wait for these rows, vacuum is held back in the whole database),
    locks stronger than a reader's, a snapshot (REPEATABLE READ or an open cursor: vacuum is held back), or merely the
    transaction itself, which still blocks ALTER TABLE and TRUNCATE on the tables it read.

    Not counted are people at work in psql and the like, a cursor that keeps advancing, and a session that holds nothing
    but an advisory lock (a leader).

Why it matters
    Each is one connection that its pool does not get back. With pool_size 5 and max_overflow 10 the sixteenth makes
    every request of that process wait for pool_timeout and fail: `QueuePool limit of size 5 overflow 10 reached`.

What to do
    Find the code path: the last statement and the process are in the evidence, and the line of code that took the
    connection, too, when the application runs under `dbdoctor run`. Use `with engine.connect() as connection:` or
    `with Session(engine) as session:`, so that an exception closes it too, and do not wait for others
    inside. As a net under it, let the server end such sessions:

        ALTER ROLE "app" SET idle_in_transaction_session_timeout = '60s';

    `pg_cancel_backend` does nothing to an idle session; ending it does: `dbdoctor leaks --terminate ID`.
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
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, longest_first, row, sessions_of

CODES = ("idle-in-transaction",)

# What it holds, the worst first; how much harm that does is in the product's words.
_HOLDS = ("writes", "locks", "snapshot", "nothing")
# Weaker than these nobody waits for but ALTER TABLE and the like.
_HARMLESS_LOCKS = (None, "AccessShareLock")


def judge(watched: Watched) -> Iterator[Judged]:
    """The sessions of each group that are idle in transaction for longer than the threshold."""
    for group in watched.groups:
        chosen = [
            life
            for life in group.in_transaction
            if life.session.state == IDLE_IN_TRANSACTION
            and life.silence(watched.now) >= watched.too_long
            and not is_exempt(life, watched.now, watched.too_long)
        ]
        if chosen:
            yield _found(group, longest_first(chosen, watched.now), watched)


def holds(life: Life) -> str:
    """What its transaction holds, the worst: `writes`, `locks`, `snapshot` or `nothing` (beyond being open)."""
    detail = life.explained
    if life.session.writes:
        return "writes"
    if detail is not None and detail.strongest_lock not in _HARMLESS_LOCKS:
        return "locks"
    return "snapshot" if life.session.holds_back is not None else "nothing"


def _described(life: Life) -> str:
    detail = life.explained
    lock = f"{detail.strongest_lock} on {detail.locked or 'a relation'}" if detail and detail.strongest_lock else ""
    log = f", {max(1, round(detail.log_bytes / 1024)):,} kB of log" if detail and detail.log_bytes else ""
    return {
        "writes": f"has written{', ' + lock if lock else ''}{log}",
        "locks": f"holds {lock}",
        "snapshot": f"keeps a snapshot {life.session.holds_back} transactions old",
        "nothing": "merely open",
    }[holds(life)]


def _found(group: Group, lives: list[Life], watched: Watched) -> Judged:
    now = watched.now
    longest = lives[0].silence(now)
    kinds = [kind for kind in _HOLDS if any(holds(life) == kind for life in lives)]
    number = count(len(lives), "session has", "sessions have")
    title = f"{number} been idle in transaction for up to {format_duration(longest)}: {group.key.shown}"
    taken = f"{len(lives)} of this group's {count(len(group.lives), 'connection')} cannot be checked in"
    net = watched.remedy("end-idle-in-transaction", role=group.key.user)
    finding = Finding(
        code="idle-in-transaction",
        severity=Severity.ERROR,
        title=title,
        why=f"{watched.remedy(f'harm-{kinds[0]}')}; {taken}",
        fix="close the Connection or Session on every path (`with engine.connect() as connection:`)"
        + (", and let the server end such sessions as a net under it" if net else ""),
        command=net,
        evidence={
            "sessions": len(lives),
            "longest_seconds": round(longest, 3),
            "threshold_seconds": watched.too_long,
            "holds": {kind: sum(1 for life in lives if holds(life) == kind) for kind in kinds},
            "oldest_snapshot_transactions": max((life.session.holds_back or 0 for life in lives), default=0) or None,
        },
        rows=tuple(row(life, now, _described(life)) for life in lives[:MOST_ROWS]),
        group=group_of(group.key),
        sessions=sessions_of(lives),
    )
    reason = f"{len(lives)} idle in transaction for up to {format_duration(longest)}"
    return Judged(finding, group.key, Verdict.LEAK, tuple(life.session.identity for life in lives), reason)
