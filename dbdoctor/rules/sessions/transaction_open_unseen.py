"""A transaction stays open in a session whose doings are hidden

What it means
    This role may not see what other roles' sessions do; but the locks it may see. A session holds the lock of the same
    virtual transaction in all samples for longer than the threshold (`--idle-in-transaction`): its transaction has been
    open all the while. Whether it works or idles cannot be told from that.

Why it matters
    If it idles, it is a leaked checkout that blocks others; if it works, it is a long statement.

What to do
    Look again with a role that may see it: as an administrator, `GRANT pg_monitor TO "app";` (it is read only). The
    session's id, user and application are in the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, sessions_of

CODES = ("transaction-open-unseen",)


def judge(watched: Watched) -> Iterator[Judged]:
    """Hidden sessions whose transaction has stayed open."""
    for group in watched.groups:
        lives = sorted((life for life in group.hidden if _open_for(life, watched) >= watched.too_long), key=_since)
        if not lives:
            continue
        longest = format_duration(_open_for(lives[0], watched))
        finding = Finding(
            code="transaction-open-unseen",
            severity=Severity.WARNING,
            title=f"{count(len(lives), 'transaction')} open for at least {longest}, whether idle is hidden from us: "
            f"{group.key.shown}",
            why="if it idles, its connection is lost to its pool and its locks block others; this role cannot see which",
            fix="look again with a role that may see other roles' sessions",
            command=watched.grants,
            evidence={"sessions": len(lives), "open_at_least_seconds": round(_open_for(lives[0], watched), 3)},
            rows=tuple(
                f"{life.session.id}  open for at least {format_duration(_open_for(life, watched))}"
                for life in lives[:MOST_ROWS]
            ),
            group=group_of(group.key),
            sessions=sessions_of(lives),
        )
        identities = tuple(life.session.identity for life in lives)
        reason = f"{len(lives)} in a transaction for at least {longest}, idle or not is hidden"
        yield Judged(finding, group.key, Verdict.SUSPECT, identities, reason)


def _open_for(life: Life, watched: Watched) -> float:
    return watched.now - life.hidden_since if life.hidden_since is not None else 0.0


def _since(life: Life) -> float:
    return life.hidden_since or 0.0
