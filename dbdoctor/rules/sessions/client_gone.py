"""A session's client is gone

What it means
    The session's client was on this host, and its end of the connection no longer exists here, in two samples one after
    the other: the process was killed, or crashed, while the server was working for it. The server notices only when it
    next writes to the client, which a long statement does at its end.

Why it matters
    It works for nobody: it holds its slot, its locks and a processor until the statement ends.

What to do
    End it: `dbdoctor leaks --terminate ID`. Let the server look for itself from now on (PostgreSQL 14 and later):

        ALTER SYSTEM SET client_connection_check_interval = '10s';
        SELECT pg_reload_conf();
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, longest_first, row, sessions_of, terminate_command

CODES = ("client-gone",)

_SAMPLES = 2


def judge(watched: Watched) -> Iterator[Judged]:
    """Sessions whose client's socket is not there any more."""
    for group in watched.groups:
        lives = longest_first((life for life in group.lives if life.client_gone >= _SAMPLES), watched.now)
        if not lives:
            continue
        longest = format_duration(lives[0].silence(watched.now))
        finding = Finding(
            code="client-gone",
            severity=Severity.ERROR,
            title=f"the client of {count(len(lives), 'session')} is gone: {group.key.shown}",
            why=f"the server works for nobody, {lives[0].session.state} for {longest}, and holds slot and locks meanwhile",
            fix="end it, and let the server look whether its clients are still there",
            command=terminate_command(lives[:20]),
            evidence={"sessions": len(lives)},
            rows=tuple(row(life, watched.now, life.session.state or "") for life in lives[:MOST_ROWS]),
            group=group_of(group.key),
            sessions=sessions_of(lives),
        )
        identities = tuple(life.session.identity for life in lives)
        yield Judged(finding, group.key, Verdict.LEAK, identities, f"the client of {len(lives)} is gone")
