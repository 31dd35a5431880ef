"""A pool is far larger than its peak use

What it means
    At least five sessions of the group, and three quarters of it, have not been used for the threshold (`--idle`, 5 min
    by default); or we have watched for that long, and never more than a quarter of its sessions were at work at once.
    Nothing leaks: these sessions rest in their pool. There are more of them than the application needs.

Why it matters
    Each takes one of the server's slots and some megabytes of its memory, and is what another application, or the next
    deploy, is refused for.

What to do
    Make pool_size what is needed in ordinary times, and let max_overflow take the peaks: overflow connections are closed
    when they are checked in. `pool_use_lifo=True` keeps the surplus unused, so that `pool_recycle` or the server's
    idle_session_timeout (with pool_pre_ping) can end it. `dbdoctor recommend` works out the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sessions._watched import Group, Judged, Watched
from dbdoctor.rules.sessions._words import group_of

CODES = ("pool-larger-than-use",)

_FEWEST = 5
_UNUSED_SHARE = 0.75
_BUSY_SHARE = 0.25


def judge(watched: Watched) -> Iterator[Judged]:
    """Groups of which most sessions rest for longer than the threshold."""
    for group in watched.groups:
        judged_lives = [life for life in group.lives if life.spared is None and not life.session.hidden]
        unused = [
            life for life in group.idle if life.spared is None and life.silence(watched.now) >= watched.unused_after
        ]
        busy = sum(pool.most_busy for pool in group.pools)
        size = len(judged_lives)
        if size < _FEWEST:
            continue
        resting = len(unused) >= _FEWEST and len(unused) >= _UNUSED_SHARE * size
        roomy = watched.seconds >= watched.unused_after and busy <= _BUSY_SHARE * size
        if resting or roomy:
            yield Judged(_found(group, len(unused), busy, size, watched), group.key)


def _found(group: Group, unused: int, busy: int, size: int, watched: Watched) -> Finding:
    limit = format_duration(watched.unused_after)
    return Finding(
        code="pool-larger-than-use",
        severity=Severity.INFO,
        title=f"{unused} of {size} sessions have not been used for {limit}, {busy} at most were at work: {group.key.shown}",
        why="each takes a slot of the server that others may need; nothing leaks, the pool is larger than its use",
        fix="make pool_size what ordinary times need, and let max_overflow take the peaks",
        evidence={"unused": unused, "sessions": size, "most_at_work": busy, "threshold_seconds": watched.unused_after},
        group=group_of(group.key),
    )
