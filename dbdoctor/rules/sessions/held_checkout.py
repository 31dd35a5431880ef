"""A connection was checked out and is not used any more

What it means
    The recorder inside the application (`dbdoctor run`, `dbdoctor.attach`) says that this connection was taken from its
    pool, by the line of code in the evidence, and has not been given back for longer than its `--leak-after` (60 s by
    default); and the server says that nobody has used it for as long either. The server alone cannot tell such a session
    from one that rests in its pool: there may be no open transaction (AUTOCOMMIT, or committed, or rolled back), and
    perhaps there never was a statement.

    Not counted are sessions at work, listeners, holders of an advisory lock, cursors that advance, people in psql, and a
    session that came back, while we watched, from a silence half as long and more. What has been idle in transaction for
    too long is said under `idle-in-transaction`, with the same line of code.

Why it matters
    Each is one connection that its pool does not get back. With pool_size 5 and max_overflow 10 the sixteenth makes
    every request of that process wait for pool_timeout and fail: `QueuePool limit of size 5 overflow 10 reached`.

What to do
    Go to the line, and give the connection back on every path: `with engine.connect() as connection:`, `with
    Session(engine) as session:`; do not keep it, or a result of it, in an object that lives on. If it is right that this
    code keeps one, say so with a longer `--leak-after`.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.model.session import ABORTED, ACTIVE, IDLE_IN_TRANSACTION, Identity
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._exempt import is_exempt
from dbdoctor.rules.sessions._passed_over import groups_passed_over
from dbdoctor.rules.sessions._watched import Group, Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, row, sessions_of

CODES = ("held-checkout",)

# Who came back from a silence will come back again: it takes so many times the longest of those.
_BEYOND_RETURNS = 2.0


def judge(watched: Watched) -> Iterator[Judged]:
    """The sessions of each group that are held, unused, and told of by no other rule."""
    if not watched.history.holds:
        return
    told: set[Identity] | None = None
    for group in watched.groups:
        lives = [life for life in group.lives if _is_held(life, watched)]
        if lives and told is None:
            told = _told_elsewhere(watched)
        lives = [life for life in lives if life.session.identity not in (told or ())]
        if lives:
            yield _found(group, sorted(lives, key=lambda life: -_held(life, watched)), watched)


def _is_held(life: Life, watched: Watched) -> bool:
    holding, session, now = life.holding, life.session, watched.now
    if holding is None or not holding.is_held_too_long(now) or session.state in (None, ACTIVE, ABORTED):
        return False
    unused = life.silence(now)
    if unused < max(holding.leak_after, _BEYOND_RETURNS * max(life.longest_return, life.longest_pause)):
        return False
    too_long = session.state == IDLE_IN_TRANSACTION and unused >= watched.too_long
    return not too_long and not is_exempt(life, now, watched.too_long)


def _held(life: Life, watched: Watched) -> float:
    return life.holding.held(watched.now) if life.holding is not None else 0.0


def _told_elsewhere(watched: Watched) -> set[Identity]:
    """Those passed over that were proven to leak without the recorder."""
    return {
        life.session.identity
        for passed in groups_passed_over(watched)
        if passed.verdict is Verdict.LEAK
        for life in passed.lives
    }


def _found(group: Group, lives: list[Life], watched: Watched) -> Judged:
    now = watched.now
    longest, unused = _held(lives[0], watched), max(life.silence(now) for life in lives)
    number = count(len(lives), "connection was", "connections were")
    finding = Finding(
        code="held-checkout",
        severity=Severity.ERROR,
        title=f"{number} checked out up to {format_duration(longest)} ago and not used since: {group.key.shown}",
        why=f"the recorder has not seen them given back, and the server has not seen them used for up to "
        f"{format_duration(unused)}; each is a place of the pool that nobody else gets",
        fix="give it back on every path (`with engine.connect() as connection:`), and keep it in no object that lives on",
        evidence={
            "sessions": len(lives),
            "longest_held_seconds": round(longest, 3),
            "longest_unused_seconds": round(unused, 3),
        },
        rows=tuple(_row(life, watched) for life in lives[:MOST_ROWS]),
        group=group_of(group.key),
        sessions=sessions_of(lives),
    )
    reason = f"{len(lives)} checked out for up to {format_duration(longest)} and not used"
    return Judged(finding, group.key, Verdict.LEAK, tuple(life.session.identity for life in lives), reason)


def _row(life: Life, watched: Watched) -> str:
    thread = f"by {life.holding.thread}" if life.holding is not None and life.holding.thread else ""
    return row(life, watched.now, f"held for {format_duration(_held(life, watched))}", thread)
