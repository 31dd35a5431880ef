"""Sessions grow and never shrink: opened, left idle, and never used again

What it means
    The client goes on opening sessions while others of the same process sit idle outside any transaction and are never
    used again. A pool gives out what it has before it opens more; so these were never given back (checked out in
    AUTOCOMMIT, or committed, and forgotten), or were opened by hand (`psycopg2.connect`, `engine.raw_connection`) and never
    closed. Some may never have been used at all.

    Proof asked for: three sessions passed over, and others opened and kept at three separate times (a second apart)
    while we watched, when the client process is known; six and five when it is not, because several processes behind one
    address each have a pool of their own, and for processes of one application that each lose a few, six and six of all.
    A session's silence counts when it had lasted 3 s before the other was opened, and only beyond twice the longest
    silence from which a session of the same process came back. A healthy pool that grows under load opens a session
    only when all others are at work, and so never passes one over. Where everything but the number of sessions is hidden
    from us, steady growth is a suspicion.

Why it matters
    The server cannot tell such a session from a pooled one that rests, and so never ends it. Each takes one slot of the
    server, and one place of the pool, for good.

What to do
    Close what is opened, on every path: `with engine.connect() as connection:`, `with closing(psycopg2.connect(...))`.
    The process in the evidence is where to look; `dbdoctor run` shows the line of code that checked them out.
    As a net, on the server (PostgreSQL 14 and later), longer than any pool rests, and with pool_pre_ping or a shorter
    pool_recycle in the application:

        ALTER ROLE "app" SET idle_session_timeout = '1h';
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._passed_over import groups_passed_over, growth, judged, seen
from dbdoctor.rules.sessions._watched import Group, Judged, Watched
from dbdoctor.rules.sessions._words import group_of

CODES = ("sessions-only-grow",)

# Hidden sessions that must have been gained before growth means anything.
_FEWEST_GAINED = 5


def judge(watched: Watched) -> Iterator[Judged]:
    """Groups whose idle sessions were never given back, and hidden groups that grow."""
    for passed in groups_passed_over(watched):
        if passed.returned or not passed.lives:
            continue
        number = count(len(passed.lives), "session was", "sessions were")
        yield judged(
            "sessions-only-grow",
            passed,
            watched,
            f"{number} left idle and never used again, while others were opened: {passed.group.key.shown}",
            f"they were not given back ({seen(passed, watched)}): each takes a slot of the server for good",
            "close what is opened on every path (`with engine.connect() as connection:`)",
            None,
        )
    for group in watched.groups:
        if len(group.hidden) == len(group.lives) and _grows(group):
            yield _unseen(group, watched)


def _grows(group: Group) -> bool:
    gained = group.opened - group.closed
    return group.trend is not None and group.trend.low > 0 and gained >= _FEWEST_GAINED


def _unseen(group: Group, watched: Watched) -> Judged:
    opened, closed = group.opened, group.closed
    lasted = format_duration(watched.seconds)
    finding = Finding(
        code="sessions-only-grow",
        severity=Severity.WARNING,
        title=f"{opened} sessions opened and {closed} closed in {lasted}, what they do is hidden from us: {group.key.shown}",
        why=f"sessions that are only opened end with a full server{growth(group.trend)}; whether they work cannot be seen",
        fix="look again with a role that may see them, and at the application's pool meanwhile",
        command=watched.grants,
        evidence={
            "sessions": len(group.lives),
            "opened": opened,
            "closed": closed,
            "growth_per_minute": round(group.trend.per_minute, 3) if group.trend else None,
            "watched_seconds": round(watched.seconds, 3),
        },
        group=group_of(group.key),
    )
    return Judged(finding, group.key, Verdict.SUSPECT, (), f"grows{growth(group.trend)}, what it does is hidden")
