"""What holds PostgreSQL back without being a session, and the counters of sessions that ended badly; pure.

Asked for now and then. Each part stands alone, so that one that a server does not have, or does not show us, can be
left out of the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_text import decode
from dbdoctor.model.snapshot import EndedSessions, PreparedTransaction, ReplicationSlot

PREPARED = "prepared transactions"
SLOTS = "replication slots"
ENDED = "counters of ended sessions"

# What, a name, a moment, yes or no, whose, where, three numbers.
_QUESTIONS = {
    PREPARED: """\
SELECT 'p', gid::text, date_part('epoch', prepared), NULL::boolean, owner::text, database::text,
       age(transaction)::bigint, NULL::bigint, NULL::bigint
FROM pg_prepared_xacts""",
    SLOTS: """\
SELECT 's', slot_name::text, NULL::float8, active, NULL::text, database::text,
       greatest(age(xmin), age(catalog_xmin))::bigint, NULL::bigint, NULL::bigint
FROM pg_replication_slots""",
    ENDED: """\
SELECT 'e', NULL::text, NULL::float8, NULL::boolean, NULL::text, NULL::text,
       sessions_abandoned, sessions_fatal, sessions_killed
FROM pg_stat_database WHERE datname = current_database()""",
}


class Beside(NamedTuple):
    """None is "not asked"."""

    prepared: tuple[PreparedTransaction, ...] | None = None
    slots: tuple[ReplicationSlot, ...] | None = None
    ended: EndedSessions | None = None


def parts_of(version_number: int) -> tuple[str, ...]:
    """What a server of this version can be asked: the counters came with 14."""
    return (PREPARED, SLOTS, ENDED) if version_number >= 140000 else (PREPARED, SLOTS)


def beside_question(parts: Iterable[str]) -> str:
    """Asks for these parts, one at least."""
    return "\nUNION ALL\n".join(_QUESTIONS[part] for part in parts)


def read_beside(parts: Iterable[str], answer: Sequence[Row]) -> Beside:
    """What the answer says of the parts that were asked for."""
    asked = set(parts)
    prepared, slots, ended = [], [], None
    for what, name, at, active, owner, database, first, second, third in answer:
        if bytes(what) == b"p":
            prepared.append(PreparedTransaction(decode(name) or "", at, decode(owner), decode(database), first))
        elif bytes(what) == b"s":
            slots.append(ReplicationSlot(decode(name) or "", bool(active), first, decode(database)))
        else:
            ended = EndedSessions(first or 0, second or 0, third or 0)
    return Beside(
        tuple(prepared) if PREPARED in asked else None,
        tuple(slots) if SLOTS in asked else None,
        ended,
    )
