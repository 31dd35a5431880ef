"""Sessions were never used since they connected

What it means
    The session logged in and has not sent a single statement, for longer than the threshold (`--idle`, 5 min by default).

Why it matters
    It takes a slot for nothing. Pools that fill themselves at start (asyncpg's min_size, psycopg_pool's min_size) leave
    a few of these, which is harmless; many of them, or more each hour, are connections that somebody opens "to be ready"
    and forgets.

What to do
    Look at the process: what opens a connection without using it? Lower the pool's minimum, or close what is opened.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, longest_first, row, sessions_of

CODES = ("never-used",)


def judge(watched: Watched) -> Iterator[Judged]:
    """Sessions of each group that never sent a statement."""
    now = watched.now
    for group in watched.groups:
        lives = longest_first(
            (
                life
                for life in group.idle
                if life.session.statement_at is None
                and life.session.changed_at is not None
                and life.spared is None
                and life.silence(now) >= watched.unused_after
            ),
            now,
        )
        if not lives:
            continue
        longest = format_duration(lives[0].silence(now))
        finding = Finding(
            code="never-used",
            severity=Severity.WARNING if len(lives) * 2 > len(group.lives) and len(lives) >= 3 else Severity.INFO,
            title=f"{count(len(lives), 'session was', 'sessions were')} never used since connecting up to {longest} ago: "
            f"{group.key.shown}",
            why="each takes a slot of the server for nothing; a pool that fills itself at start leaves a few",
            fix="lower the pool's minimum, or find what opens a connection without using it",
            evidence={"never_used": len(lives), "sessions": len(group.lives)},
            rows=tuple(row(life, now, "never used") for life in lives[:MOST_ROWS]),
            group=group_of(group.key),
            sessions=sessions_of(lives),
        )
        yield Judged(finding, group.key)
