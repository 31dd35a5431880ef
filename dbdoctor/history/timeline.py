"""Sessions by group over time in a bounded number of moments, however long one watches: for the plots of a report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dbdoctor.history import History
from dbdoctor.model.leaks import GroupKey
from dbdoctor.model.report import Moment, Span
from dbdoctor.model.snapshot import Snapshot

_MOST = 240
# Of a moment only so many groups are kept, the largest: memory is bounded whatever clients call themselves.
_MOST_GROUPS = 100
_NOTHING = Span(0, 0)


class Timeline:
    """Moments, at most 240: when full, neighbours are put together, and from then on so many samples make one moment."""

    def __init__(self) -> None:
        self._moments: list[Moment | None] = []
        self._every = 1
        self._taken = 0

    def add(self, snapshot: Snapshot, history: History) -> None:
        """The snapshot that was just added to `history`."""
        counted: Counter[GroupKey] = Counter()
        for key, pool in history.pools.items():
            if pool.lives:
                counted[history.display_key(key)] += len(pool.lives)
        largest = counted.most_common(_MOST_GROUPS)
        slots = Span(snapshot.slots.used, snapshot.slots.used) if snapshot.slots else None
        moment = Moment(snapshot.at, snapshot.at, {key: Span(count, count) for key, count in largest}, slots)
        last = self._moments[-1] if self._moments else None
        if last is not None and self._taken < self._every:
            self._moments[-1] = merged(last, moment)
            self._taken += 1
            return
        self._moments.append(moment)
        self._taken = 1
        if len(self._moments) > _MOST:
            self._moments = _halved(self._moments)
            self._every *= 2

    def gap(self) -> None:
        """Nobody could look: that is no drop to zero."""
        if self._moments and self._moments[-1] is not None:
            self._moments.append(None)

    @property
    def moments(self) -> tuple[Moment | None, ...]:
        """Oldest first; None is a gap."""
        return tuple(self._moments)


def merged(first: Moment, second: Moment) -> Moment:
    """Both as one, with the least and the most of either."""
    largest = {**first.groups, **second.groups}
    groups: Mapping[GroupKey, Span] = {
        key: _span(first.groups.get(key, _NOTHING), second.groups.get(key, _NOTHING)) for key in largest
    }
    if len(groups) > _MOST_GROUPS:
        kept = sorted(groups, key=lambda key: -groups[key].most)[:_MOST_GROUPS]
        groups = {key: groups[key] for key in kept}
    slots = _span(first.slots, second.slots) if first.slots and second.slots else first.slots or second.slots
    return Moment(first.since, second.until, groups, slots)


def _span(first: Span, second: Span) -> Span:
    return Span(min(first.least, second.least), max(first.most, second.most))


def _halved(moments: list[Moment | None]) -> list[Moment | None]:
    """Neighbours put together, gaps kept where they are (and no two of them beside each other)."""
    found: list[Moment | None] = []
    half: Moment | None = None
    for moment in moments:
        if moment is None:
            found += [half, None] if half is not None else [None]
            half = None
        elif half is None:
            half = moment
        else:
            found.append(merged(half, moment))
            half = None
    return [*found, half] if half is not None else found
