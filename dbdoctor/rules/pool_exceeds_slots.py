"""The application's pools, all processes together, can ask for more sessions than they can get

What it means
    Each process holds a pool of its own, and a pool opens up to pool_size + max_overflow sessions. Times the
    declared processes and replicas this is more than the server, the role or the database admits: an error if it could
    not fit even on an otherwise empty server, a warning if it does not fit beside what others hold now.

Why it matters
    Nothing is wrong until the load comes: then every pool overflows at the same time, and the last processes get
    `FATAL: sorry, too many clients already` instead of a connection.

What to do
    Make (pool_size + max_overflow) x processes x replicas smaller than the room there is, and leave room for one more
    replica, since a rolling deploy runs old and new ones side by side. Or let a pooler (PgBouncer) share fewer sessions.

        create_engine(url, pool_size=..., max_overflow=...)
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.remedies import remedy
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.target import Target
from dbdoctor.rules._common import unseen

CODES = ("pool-exceeds-slots",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Whether the declared fleet fits; behind a pooler it need not."""
    pool = target.pool
    most = pool.most_connections if pool else None
    if pool is None or most is None or facts.pooler:
        return
    if facts.slots is None:
        yield unseen("pool-exceeds-slots", facts, "how many sessions the server has")
        return
    room, what = _room(facts, facts.slots)
    others = max(0, facts.slots.used - int(facts.extra.get("role_sessions") or 0))
    beside = max(0, facts.slots.limit - facts.slots.reserved - others)
    if most <= min(room, beside):
        return
    never = most > room
    fleet = (pool.processes or 1) * (pool.replicas or 1)
    yield Finding(
        code="pool-exceeds-slots",
        severity=Severity.ERROR if never else Severity.WARNING,
        title=f"the pools can ask for {most} sessions, and {what} {'admits' if never else 'has room for'} "
        f"{room if never else beside}",
        why=_why(pool, fleet, others, never=never),
        fix="lower pool_size or max_overflow, or run fewer processes"
        + (remedy(target.product, "or-share-sessions") or ""),
        command=_command(pool, fleet, min(room, beside)),
        evidence={"most_connections": most, "room": room, "others": others, "room_beside_others": beside},
    )


def _room(facts: ServerFacts, slots: Slots) -> tuple[int, str]:
    """The narrowest limit that holds for us, and whose it is."""
    rooms = [(max(0, slots.limit - slots.reserved), "the server")]
    rooms += [(limit.limit, f"the {limit.of} {limit.name}") for limit in facts.limits]
    return min(rooms, key=lambda room: room[0])


def _why(pool: PoolSettings, fleet: int, others: int, *, never: bool) -> str:
    working = f"({pool.pool_size} + {pool.max_overflow}) x {fleet} processes"
    if never:
        return f"{working} is more than can ever be had: under full load some checkouts end in a refused login"
    return f"{working} does not fit beside the {others} sessions that other roles hold now"


def _command(pool: PoolSettings, fleet: int, room: int) -> str | None:
    """Settings that fit, with a fifth kept for the next deploy; None when not even one session each fits."""
    each = room * 4 // 5 // fleet
    if each < 1:
        return None
    size = min(pool.pool_size or each, each)
    return f"create_engine(url, pool_size={size}, max_overflow={each - size})"
