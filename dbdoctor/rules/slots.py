"""The server has little or no room left for new sessions

What it means
    A PostgreSQL server admits `max_connections` sessions in all. Some are kept for administrators
    (`superuser_reserved_connections`, `reserved_connections`); the rest is what applications share. The share in use
    has passed the threshold: 80 % is a warning, 90 % an error (`slots_warning` and `slots_error` in the config).

    Sessions count whether they work or not: the idle ones in a pool take a slot each.

    An ordinary role is not told which of the other roles' backends are workers; where that could change the figure,
    the finding says "at most".

Why it matters
    At the limit every new connection is refused, for all applications of the server at once:
    `FATAL: sorry, too many clients already` or `FATAL: remaining connection slots are reserved ...`.
    Deploys get there first, because the old and the new processes hold their pools at the same time.

What to do
    Look for sessions that nobody uses before raising the limit: pools larger than needed, sessions idle in
    transaction, processes that should have ended.

        SELECT usename, application_name, state, count(*),
               max(now() - state_change) AS longest
        FROM pg_stat_activity WHERE backend_type = 'client backend'
        GROUP BY 1, 2, 3 ORDER BY 4 DESC;

    Then make the pools smaller (pool_size, max_overflow), or put a pooler in front. Raising max_connections needs a
    restart, and memory for each session.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.remedies import remedy
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.target import Target
from dbdoctor.rules._common import count, threshold_of, unseen

CODES = ("slots-nearly-full",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """How much of what ordinary users can have is in use."""
    slots = facts.slots
    if slots is None:
        yield unseen("slots-nearly-full", facts, "how many sessions the server has")
        return
    error = slots.share_used >= threshold_of(target, "slots_error")
    if not error and slots.share_used < threshold_of(target, "slots_warning"):
        return
    overcount = int(facts.extra.get("slots_overcounted_at_most") or 0)
    usable = max(0, slots.limit - slots.reserved)
    at_most = "at most " if overcount else ""
    yield Finding(
        code="slots-nearly-full",
        severity=Severity.ERROR if error else Severity.WARNING,
        title=f"{at_most}{slots.used} of the {usable} sessions for ordinary users are in use "
        f"({slots.share_used:.0%}), {slots.free} free",
        why=_why(slots, target),
        fix=f"end or shrink what holds sessions without using them, before {remedy(target.product, 'admit-more-sessions')}",
        command=remedy(target.product, "who-holds-sessions"),
        evidence={
            "limit": slots.limit,
            "reserved": slots.reserved,
            "used": slots.used,
            "free": slots.free,
            "share_used": round(slots.share_used, 4),
            "overcounted_at_most": overcount,
            "counted_by": facts.extra.get("slots_counted_by"),
            "states": facts.extra.get("states"),
            "used_by": [list(one) for one in slots.used_by],
        },
        rows=tuple(_rows(slots, facts)),
    )


def _why(slots: Slots, target: Target) -> str:
    if not slots.free:
        return "the next login of an ordinary user is refused, for every application on this server"
    why = f"after {count(slots.free, 'more login')} everyone is refused, and a deploy holds old and new pools at once"
    pool = target.pool
    each = (pool.pool_size + max(0, pool.max_overflow or 0)) if pool and pool.pool_size else None
    if each:
        why += (
            f"; there is room for {count(slots.free // each, 'more process', 'more processes')} with a pool of {each}"
        )
    return why


def _rows(slots: Slots, facts: ServerFacts) -> Iterator[str]:
    for user, application, sessions in slots.used_by[:4]:
        yield f"{user} {application or '(no application name)'}: {count(sessions, 'session')}"
    states = facts.extra.get("states")
    if states:
        seen = [f"{number} {state.replace('_', ' ')}" for state, number in states.items() if number]
        yield "of all: " + ", ".join(seen)
