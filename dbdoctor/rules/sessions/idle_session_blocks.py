"""An idle session blocks others

What it means
    Sessions wait for a lock that is held by a session which does nothing: it is idle in transaction (or idle, with a
    lock it took for the whole session). Their statements will not go on before it ends its transaction. Reported when
    somebody has waited for 10 s, or for the threshold `--idle-in-transaction` if that is shorter.

    Waiting for an advisory lock that a leader holds is not counted: that is what such a lock is for.

Why it matters
    The waiting ones hold their own connections and their own locks meanwhile, so that the queue grows behind them; the
    application's pools run dry within seconds, and everything looks slow except the session that is the cause.

What to do
    Find out whose session it is (the evidence names process, statement and age); end it if it cannot be made to commit:
    `dbdoctor leaks --terminate ID`. Let the server do it next time with `idle_in_transaction_session_timeout`, and give
    the waiting side a `lock_timeout`, so that it fails instead of queueing.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Verdict
from dbdoctor.model.session import ACTIVE
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched
from dbdoctor.rules.sessions._words import group_of, row, sessions_of

CODES = ("idle-session-blocks",)

_LONG_WAIT = 10.0


def judge(watched: Watched) -> Iterator[Judged]:
    """Each session that does nothing and for which others wait."""
    least = min(_LONG_WAIT, watched.too_long)
    waits: dict[int, list[tuple[int, float]]] = {}
    for waiter in watched.history.waiters:
        waited = watched.now - watched.history.blocked_since.get(waiter.id, watched.now)
        for blocker in waiter.blocked_by:
            waits.setdefault(blocker, []).append((waiter.id, waited))
    for blocker, queue in sorted(waits.items()):
        life = watched.life_of(blocker)
        if life is None or life.session.state in (None, ACTIVE) or life.leads:
            continue
        if max(waited for _, waited in queue) >= least:
            yield _found(life, queue, watched)


def _found(life: Life, queue: list[tuple[int, float]], watched: Watched) -> Judged:
    now = watched.now
    longest = max(waited for _, waited in queue)
    group = watched.history.display_key(life.key)
    waiting = count(len(queue), "session")
    finding = Finding(
        code="idle-session-blocks",
        severity=Severity.ERROR,
        title=f"session {life.session.id} does nothing and blocks {waiting} for up to {format_duration(longest)}: {group.shown}",
        why=f"it has been {life.session.state} for {format_duration(life.silence(now))}; those who wait hold their own "
        "connections and locks, and the queue grows behind them",
        fix="make it commit or roll back, or end it; and give those who wait a lock_timeout",
        command=f"dbdoctor leaks TARGET --terminate {life.session.id}",
        evidence={
            "waiting": len(queue),
            "longest_wait_seconds": round(longest, 3),
            "waiting_sessions": [number for number, _ in queue[:50]],
            "state": life.session.state,
            "state_seconds": round(life.silence(now), 3),
        },
        rows=(
            row(life, now, str(life.session.state)),
            *(_waiting(number, waited, watched) for number, waited in queue[:20]),
        ),
        group=group_of(group),
        sessions=sessions_of([life]),
    )
    lasting = life.in_transaction and life.silence(now) >= watched.too_long
    verdict = None if life.spared else Verdict.LEAK if lasting else Verdict.SUSPECT
    reason = f"{life.session.id} is {life.session.state} and blocks {waiting}"
    return Judged(finding, group, verdict, (life.session.identity,), reason)


def _waiting(number: int, waited: float, watched: Watched) -> str:
    life = watched.life_of(number)
    name = life.session.application if life is not None and life.session.application else "session"
    return f"{number}  waits {format_duration(waited)}  {name}"
