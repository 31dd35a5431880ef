"""Who may be idle in transaction and is well: a person, a cursor that advances, a leader with nothing but its lock."""

from __future__ import annotations

from dbdoctor.history import Life

# A cursor is still advancing when its present pause is no longer than this many times the longest before it.
_PAUSES_ALIKE = 2.0
# Between the first statement of a transaction and its last: more than a cursor that was only opened takes (seconds).
_MOVED_BY = 1.0


def is_advancing_cursor(life: Life, now: float) -> bool:
    """Its last statement fetched from a cursor, and not the first time; it pauses no longer than it did before."""
    session = life.session
    if not life.fetches or session.changed_at is None or session.transaction_at is None:
        return False
    worked = session.changed_at - session.transaction_at
    if not life.moves and worked < _MOVED_BY:
        return False
    return life.silence(now) <= _PAUSES_ALIKE * max(life.longest_pause, 0.0 if life.moves > 1 else worked)


def is_exempt(life: Life, now: float) -> bool:
    """Whether its open transaction is not to be judged by its pauses."""
    return life.spared is not None or life.leads or is_advancing_cursor(life, now)
