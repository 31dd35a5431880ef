"""Connections that ended by themselves: an idle timeout, an accident of one of them, or the server gone for all; pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from dbdoctor.measure.plan import width
from dbdoctor.model.measured import Bracket, Drop

GRACE = 0.6
"""After the first end, for how long others are waited for (seconds): PgBouncer looks at its clients 3 times a second."""
# How often PgBouncer looks, with some leisure; others look more often.
_LOOKS_EACH = 0.36
# From so many ends on, how far apart they are tells how often the device looks at its clock.
_TELLING = 6
_STAGGERED = 0.15
_ONE_MOMENT = 0.05
_LEAST_SPREAD = 0.8
_SPREAD = 0.05


class End(NamedTuple):
    """One connection's end: idle for at least and at most so many seconds, when, how, and what was said to it."""

    age_low: float
    age_high: float
    at: float
    drop: Drop
    said: str | None = None


class Verdict(str, Enum):
    """What ends mean: the timeout; something that ended all of them, whatever their age; one's own bad luck; not yet."""

    TIMEOUT = "timeout"
    OUTAGE = "outage"
    ACCIDENT = "accident"
    UNDECIDED = "undecided"


def tolerance(age: float) -> float:
    """How far apart ends of one timeout may be seen, in seconds."""
    return max(_LEAST_SPREAD, _SPREAD * age)


def judge_ends(ends: Sequence[End], open_ages: Sequence[float]) -> Verdict:
    """What these ends mean, while connections of these idle ages (seconds) are still open.

    A timeout ends connections of one age; a restart ends all at one moment, the old and the young.
    """
    ages = [end.age_high for end in ends]
    if max(ages) - min(end.age_low for end in ends) > tolerance(max(ages)) and max(ages) - min(ages) > tolerance(0):
        return Verdict.OUTAGE
    moments = [end.at for end in ends]
    if not open_ages and max(moments) - min(moments) < _ONE_MOMENT < max(ages) - min(ages):
        return Verdict.OUTAGE  # before any was used: all at one moment, though not of one age
    if any(age > max(ages) + tolerance(max(ages)) for age in open_ages):
        return Verdict.ACCIDENT
    return Verdict.TIMEOUT if len(ends) > 1 else Verdict.UNDECIDED


def bracket_of(ends: Sequence[End], trip: float, resolution: float) -> Bracket:
    """Where the timeout lies; `trip` is the round trip (seconds).

    An end is seen late by half a round trip and by what the device takes to look at its clock, never early. How often it
    looks is seen where connections that began to idle at different moments have the same age at their end. So a
    connection that answered at a somewhat greater age is no contradiction.
    """
    first = min(ends, key=lambda end: end.age_high)
    ages = [end.age_high for end in ends]
    starts = [end.at - end.age_high for end in ends]
    late = max(_LOOKS_EACH, min(width(first.age_high, resolution), 1.0) / 2) + trip
    if len(ends) >= _TELLING and max(starts) - min(starts) >= _STAGGERED:
        late = min(late, 2 * (max(ages) - min(ages)) + trip + 0.05)
    return Bracket(max(0.0, min(first.age_low, first.age_high) - late), first.age_high)
