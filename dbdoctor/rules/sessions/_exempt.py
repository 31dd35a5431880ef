"""Who may be idle in transaction and is well: a person, a cursor that advances, a leader with nothing but its lock."""

from __future__ import annotations

from dbdoctor.history import Life

# A cursor is still advancing when its present pause is no longer than this many times the longest before it.
_PAUSES_ALIKE = 2.0
# Between the first statement of a transaction and its last: more than a cursor that was only opened takes (seconds).
_MOVED_BY = 1.0


def is_advancing_cursor(life: Life, now: float, too_long: float) -> bool:
    """It fetches from a cursor, and not for the first time, and pauses no longer than it did before.

    Where we have not seen it fetch again yet, it has the benefit of the doubt for twice the threshold.
    """
    session = life.session
    if not life.fetches or session.changed_at is None or session.transaction_at is None:
        return False
    if life.moves:
        return life.silence(now) <= _PAUSES_ALIKE * max(life.longest_pause, too_long / 2)
    worked = session.changed_at - session.transaction_at
    return worked >= _MOVED_BY and life.silence(now) <= _PAUSES_ALIKE * too_long


def is_exempt(life: Life, now: float, too_long: float) -> bool:
    """Whether its open transaction is not to be judged by its pauses."""
    spared = life.spared is not None and not life.is_pooled
    return spared or life.leads or is_advancing_cursor(life, now, too_long)
