"""Requests got no connection from the pool in time, and this is who held them

What it means
    SQLAlchemy said `QueuePool limit of size 5 overflow 10 reached, connection timed out`. That names the pool, and not one
    of those who held its connections. The recorder noted at each of these moments which line of code held each
    connection, and for how long.

Why it matters
    Each of these requests waited for pool_timeout and then failed. Who asked in vain is seldom who is to blame: it is
    whoever held the connections.

What to do
    If lines that never return a connection are among the holders, mend these first (`dbdoctor explain
    never-returned`); a larger pool would only be emptied later. If a few lines hold for long, do there what needs no
    connection (calls to other services, rendering) before or after. If many lines each hold for a short time, the pool is
    too small for the demand:

        dbdoctor recommend --trace DIR
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.recorded import Frames
from dbdoctor.model.recorded_summary import Summary, TimeoutGroup, shown_site
from dbdoctor.rules._common import count
from dbdoctor.rules.recorded._words import MOST_ROWS, frames_object

CODES = ("pool-timeout",)
_MOST_NAMED = 3
_MOST_IN_JSON = 20


def judge(summary: Summary) -> Iterator[Finding]:
    """All of them as one, the holders of each kind of moment as evidence."""
    if not summary.timeouts:
        return
    times = sum(group.count for group in summary.timeouts)
    worst = summary.timeouts[0]
    leaks = {site.frames for site in summary.sites if site.out}
    names = summary.names
    leaky = sorted({names[frames] for frames in _holders(summary) if frames in leaks})
    yield Finding(
        code="pool-timeout",
        severity=Severity.ERROR,
        title=f"the pool gave no connection in time, {count(times, 'time')}{_who(worst, names)}",
        why=f"each of these requests waited for up to {format_duration(max(group.wait for group in summary.timeouts))} and then "
        "failed; the lines above are those that held the connections then, which SQLAlchemy's error does not tell",
        fix=_fix(leaky),
        command=None if leaky else "dbdoctor recommend --trace DIR",
        rows=tuple(_row(group, names) for group in summary.timeouts[:MOST_ROWS]),
        evidence={"timeouts": times, "moments": [_moments(group) for group in summary.timeouts[:_MOST_IN_JSON]]},
    )


def _holders(summary: Summary) -> Iterator[Frames]:
    for group in summary.timeouts:
        for holder in group.holders:
            yield holder.frames


def _who(group: TimeoutGroup, names: Mapping[Frames, str]) -> str:
    if not group.holders:
        return ""
    first = group.holders[0]
    of_all = (
        f"{first.most} of {group.held}" if first.most != group.held else f"all {group.held}" if group.held > 1 else "it"
    )
    return f", while {names[first.frames]} held {of_all}"


def _row(group: TimeoutGroup, names: Mapping[Frames, str]) -> str:
    """`12 times, held by C: 14, for up to 92 s; D: 1, for up to 0.2 s; asked for at A (8), B (4)`."""
    several = len(group.waiting) > 1
    asked = [f"{names.get(at) or shown_site(at)}{f' ({times:,})' if several else ''}" for at, times in group.waiting]
    held = [f"{names[one.frames]}: {one.most}, for up to {format_duration(one.held)}" for one in group.holders]
    unnamed = group.held - sum(one.most for one in group.holders)
    by = (_some(held, "; ") or "nobody that is known") + (f"; {unnamed} by others" if unnamed > 0 else "")
    return f"{count(group.count, 'time')}, held by {by}; asked for at {_some(asked, ', ')}"


def _some(texts: list[str], between: str) -> str:
    more = len(texts) - _MOST_NAMED
    return between.join(texts[:_MOST_NAMED]) + (f"{between}and {more} more" if more > 0 else "")


def _fix(leaky: list[str]) -> str:
    if leaky:
        return f"first mend what never returns a connection: {_some(leaky, ', ')}; a larger pool would only be emptied later"
    return "hold connections for shorter where they are held for long; else the pool is too small for the demand"


def _moments(group: TimeoutGroup) -> dict[str, Any]:
    return {
        "timeouts": group.count,
        "wait_seconds": group.wait,
        "held": group.held,
        "holders": [
            {"taken_at": frames_object(holder.frames), "connections": holder.most, "held_seconds": holder.held}
            for holder in group.holders[:_MOST_IN_JSON]
        ],
        "waiting": [
            {"asked_at": frames_object(frames), "timeouts": times} for frames, times in group.waiting[:_MOST_IN_JSON]
        ],
    }
