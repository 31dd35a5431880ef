"""What two rules share: the sessions that their pool would have given out, had it them to give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dbdoctor.history import Life, PoolHistory
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import GroupKey, Trend, Verdict
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._recorded import at_rest_together, sharing_at_rest
from dbdoctor.rules.sessions._watched import Group, Judged, Watched
from dbdoctor.rules.sessions._words import MOST_ROWS, group_of, longest_first, row, sessions_of

# So many sessions passed over, and others opened and kept at so many separate times while we watched, prove a leak when
# the client's process is known; where it is not, several processes of one address could each have a pool of its own, and
# it takes more.
_FEWEST = 3
_FEWEST_KEPT = 3
_FEWEST_UNKNOWN = 6
_FEWEST_KEPT_UNKNOWN = 5
# Without any opening before our eyes: what the sessions' own dates tell, as so many that were used one after the other.
_FEWEST_FOSSIL = 5
# Returned to a pool, a connection's last statement is the pool's own reset.
_RESETS = ("ROLLBACK", "COMMIT", "IF @@TRANCOUNT", "SP_RESET_CONNECTION")


class Passed(NamedTuple):
    """The sessions of one group that were passed over, how sure we are, and whether they had been returned to a pool."""

    group: Group
    lives: list[Life]
    verdict: Verdict
    returned: bool
    swept: int


def groups_passed_over(watched: Watched) -> Iterator[Passed]:
    """Each group with enough sessions passed over to say so."""
    together = _leaking_together(watched)
    for group in watched.groups:
        judged = [(pool, verdict) for pool in group.pools if (verdict := _verdict(pool, watched)) is not None]
        judged = judged or [(pool, Verdict.LEAK) for pool in group.pools if _siblings_of(pool.key) in together]
        if not judged:
            continue
        lives = longest_first((life for pool, _ in judged for life in pool.passed_over), watched.now)
        swept = sum(pool.swept for pool, _ in judged)
        # A pool would have given them out, and they are in such a pool: what was opened meanwhile has another reason.
        if not swept and at_rest_together(lives):
            continue
        worst = max((verdict for _, verdict in judged), key=lambda verdict: verdict.rank)
        sharing = sharing_at_rest(lives)
        if sharing is not None and sharing.is_apart and group.opened >= _FEWEST:
            worst = Verdict.LEAK  # what was suspected is so: each in a pool of its own, and more of them come
        yield Passed(group, lives, worst, _were_returned(lives), swept)


def _verdict(pool: PoolHistory, watched: Watched) -> Verdict | None:
    if pool.most_passed_over < _FEWEST:
        return None
    known = pool.is_one_process
    fewest, kept = (_FEWEST, _FEWEST_KEPT) if known else (_FEWEST_UNKNOWN, _FEWEST_KEPT_UNKNOWN)
    if pool.swept and pool.most_passed_over >= fewest and pool.most_kept_births >= kept:
        return Verdict.LEAK
    if _closes_by_itself(pool, watched):
        return None
    passed = len(pool.passed_over)
    if passed >= fewest and pool.kept_births >= kept:
        return Verdict.LEAK
    return Verdict.SUSPECT if passed >= _FEWEST_FOSSIL and _one_after_another(pool) >= _FEWEST_FOSSIL else None


def _closes_by_itself(pool: PoolHistory, watched: Watched) -> bool:
    """One by one and after a while: an application that holds connections idle, and does close them.

    Unless the server has a timeout for idle sessions: then it may be the server that closes them.
    """
    settings = watched.facts.settings if watched.facts is not None else {}
    return pool.closed_silent * 2 > pool.opened and not settings.get("idle_session_timeout")


def _leaking_together(watched: Watched) -> set[GroupKey]:
    """Applications of whose processes each loses a session now and then: too few in each, but not in all of them."""
    siblings: dict[GroupKey, list[PoolHistory]] = {}
    for pool in watched.history.pools.values():
        if pool.passed_over and pool.is_one_process and pool.closed_silent * 2 <= pool.opened:
            siblings.setdefault(_siblings_of(pool.key), []).append(pool)
    return {
        key
        for key, pools in siblings.items()
        if len(pools) > 1
        and sum(len(pool.passed_over) for pool in pools) >= _FEWEST_UNKNOWN
        and sum(pool.kept_births for pool in pools) >= _FEWEST_UNKNOWN
    }


def _siblings_of(key: GroupKey) -> GroupKey:
    return key._replace(process=None)


def _one_after_another(pool: PoolHistory) -> int:
    """How many of the sessions passed over were used one after the other, so that one session would have done."""
    number, free_at = 0, float("-inf")
    for session in sorted((life.session for life in pool.passed_over), key=lambda session: session.changed_at or 0.0):
        if session.started_at is not None and session.changed_at is not None and session.started_at > free_at:
            number, free_at = number + 1, session.changed_at
    return number


def _were_returned(lives: list[Life]) -> bool:
    """By the recorder's word, where it knows them; else by the pool's own reset, which is then their last statement."""
    known = [life.holding for life in lives if life.holding is not None]
    if known:
        return 2 * sum(holding.rests for holding in known) > len(known)
    statements = [life.explained.statement for life in lives if life.explained is not None and life.explained.statement]
    resets = sum(1 for text in statements if text.lstrip().upper().startswith(_RESETS))
    return bool(statements) and resets * 2 > len(statements)


def judged(code: str, passed: Passed, watched: Watched, title: str, why: str, fix: str, command: str | None) -> Judged:
    """The answer, with the evidence that both rules have."""
    group, lives = passed.group, passed.lives
    trend = group.trend
    never = sum(1 for life in lives if life.session.statement_at is None)
    finding = Finding(
        code=code,
        severity=Severity.ERROR if passed.verdict is Verdict.LEAK else Severity.WARNING,
        title=title,
        why=why,
        fix=fix,
        command=command,
        evidence={
            "passed_over": len(lives),
            "never_used": never,
            "sessions": len(group.lives),
            "opened": group.opened,
            "closed": group.closed,
            "closed_together": passed.swept,
            "growth_per_minute": round(trend.per_minute, 3) if trend else None,
            "watched_seconds": round(watched.seconds, 3),
        },
        rows=tuple(row(life, watched.now, _born(life, watched.now)) for life in lives[:MOST_ROWS]),
        group=group_of(group.key),
        sessions=sessions_of(lives),
    )
    reason = f"{len(lives) or passed.swept} idle while others were opened{growth(trend)}"
    return Judged(finding, group.key, passed.verdict, tuple(life.session.identity for life in lives), reason)


def growth(trend: Trend | None) -> str:
    """`, +12.0 a minute`, when it grows for sure."""
    return f", +{trend.per_minute:.1f} a minute" if trend is not None and trend.low > 0 else ""


def seen(passed: Passed, watched: Watched) -> str:
    """What was counted: `12 were opened and 0 closed in 24 s`."""
    group = passed.group
    opened, closed = group.opened, group.closed
    if not watched.seconds:
        return f"in a single snapshot of {count(len(group.lives), 'session')}"
    return f"{opened} opened and {closed} closed in {format_duration(watched.seconds)}"


def _born(life: Life, now: float) -> str:
    started, changed = life.session.started_at, life.session.changed_at
    if started is None or changed is None:
        return ""
    return (
        f"opened {format_duration(now - started)} ago, last used {format_duration(max(0.0, changed - started))} later"
    )
