"""A replication slot that nobody reads holds vacuum back

What it means
    A replication slot is inactive: no standby or subscriber is connected to it. It still keeps the rows that its reader
    would need: its xmin or catalog_xmin is so many transactions old. From 1,000,000 on it is a warning (autovacuum acts
    against wraparound at 200,000,000 by default: `autovacuum_freeze_max_age`).

Why it matters
    Dead rows younger than that cannot be removed anywhere in the server (catalog_xmin: in its catalogues), and WAL piles
    up on its disk until the slot is read or dropped. No list of sessions shows it, for it has none.

What to do
    Bring the reader back; or, if it is gone for good:

        SELECT pg_drop_replication_slot('name');

    `max_slot_wal_keep_size` bounds what a forgotten one can do.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sessions._watched import Judged, Watched

CODES = ("replication-slot-holds-back",)

_MANY = 1_000_000


def judge(watched: Watched) -> Iterator[Judged]:
    """Inactive replication slots that keep an xmin."""
    for slot in watched.history.replication_slots:
        if slot.active or slot.holds_back is None:
            continue
        name = slot.name.replace("'", "''")
        finding = Finding(
            code="replication-slot-holds-back",
            severity=Severity.WARNING if slot.holds_back >= _MANY else Severity.INFO,
            title=f"replication slot {slot.name} has no reader and keeps {slot.holds_back:,} transactions from vacuum",
            why="dead rows cannot be removed and WAL piles up until it is read or dropped",
            fix="bring its reader back, or drop it",
            command=f"SELECT pg_drop_replication_slot('{name}');",
            evidence={"slot": slot.name, "holds_back_transactions": slot.holds_back, "database": slot.database},
        )
        yield Judged(finding)
