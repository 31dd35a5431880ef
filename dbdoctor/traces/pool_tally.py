"""What became of pools and of those who waited for them, counted as the lines come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from dbdoctor.model.recorded import ConnectionLine, EventLine, Frames, PoolSettings, TimeoutLine
from dbdoctor.model.recorded_summary import Holder, PoolSummary, TimeoutGroup
from dbdoctor.traces.spread import Spread

_MOST_GROUPS = 200
_MOST_NAMES = 50
_EVENTS = {
    "close": "closed",
    "invalidate": "invalidated",
    "soft-invalidate": "soft_invalidated",
    "detach": "detached",
}


class PoolTally:
    """One pool of one process."""

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.server = ""
        self.returns = 0  # checkouts that came back to it
        self.counts: Counter[str] = Counter()
        self.connect = Spread()
        self.failures: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def connected(self, line: ConnectionLine) -> None:
        """A connection was opened, or had been there before the recorder."""
        self.server = line.server or self.server
        if line.at is None:
            return
        self.counts["opened"] += 1
        self.counts["overflow"] += line.overflow
        if line.because in {"recycle", "invalidated"}:
            self.counts["recycled" if line.because == "recycle" else "reconnected"] += 1
        if line.took_us is not None:
            self.connect.add(line.took_us)

    def event(self, line: EventLine) -> None:
        """Something befell one of its connections."""
        if line.event in _EVENTS:
            self.counts[_EVENTS[line.event]] += 1
        if line.error and line.event in {"invalidate", "soft-invalidate"}:
            add_bounded(self.errors, line.error)


def add_bounded(counts: Counter[str], name: str) -> None:
    """One more of that name; beyond fifty names, of `others`."""
    counts[name if name in counts or len(counts) < _MOST_NAMES else "others"] += 1


def pool_summaries(pools: Iterable[tuple[str, PoolTally]]) -> tuple[PoolSummary, ...]:
    """Pools (each with its process) of the same settings on the same server as one; those that opened most come first."""
    groups: dict[tuple[PoolSettings, str], list[tuple[str, PoolTally]]] = {}
    for process, pool in pools:
        groups.setdefault((pool.settings, pool.server), []).append((process, pool))
    found = [_merged(settings, server, members) for (settings, server), members in groups.items()]
    return tuple(sorted(found, key=lambda pool: -pool.opened))


def _merged(settings: PoolSettings, server: str, members: list[tuple[str, PoolTally]]) -> PoolSummary:
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    connect = Spread()
    for _, pool in members:
        counts.update(pool.counts)
        failures.update(pool.failures)
        errors.update(pool.errors)
        connect.merge(pool.connect)
        # SQLAlchemy resets at each return, if it does at all: no event is needed to count them.
        counts["resets"] += pool.returns if settings.reset_on_return else 0
    return PoolSummary(
        settings,
        server,
        processes=len({process for process, _ in members}),
        pools=len(members),
        connect=connect.times(),
        failures=tuple(failures.most_common()),
        errors=tuple(errors.most_common()),
        **counts,
    )


class TimeoutTally:
    """Pool timeouts at which the same call sites held the connections. Durations are whole microseconds, moments seconds."""

    def __init__(self, pool: PoolSettings | None) -> None:
        self.pool = pool
        self.count = self.wait = self.held = 0
        self.first = self.last = 0.0
        self.holders: dict[Frames, tuple[int, int]] = {}
        self.waiting: Counter[Frames] = Counter()

    def take(self, line: TimeoutLine, moment: float, waiting: Frames, frames: Callable[[int], Frames]) -> None:
        """One more."""
        self.first = min(self.first, moment) if self.count else moment
        self.last = max(self.last, moment)
        self.count += 1
        self.wait = max(self.wait, line.wait_us)
        self.held = max(self.held, len(line.holders) + line.more)
        if waiting in self.waiting or len(self.waiting) < _MOST_GROUPS:
            self.waiting[waiting] += 1
        at_once: Counter[Frames] = Counter()
        for holder in line.holders:
            site = frames(holder.site)
            at_once[site] += 1
            most, longest = self.holders.get(site, (0, 0))
            self.holders[site] = max(most, at_once[site]), max(longest, holder.held_us)

    def summary(self) -> TimeoutGroup:
        """What it comes to, in seconds; the site that holds most comes first."""
        holders = [Holder(frames, most, longest / 1e6) for frames, (most, longest) in self.holders.items()]
        return TimeoutGroup(
            pool=self.pool,
            count=self.count,
            first=self.first,
            last=self.last,
            wait=self.wait / 1e6,
            held=self.held,
            holders=tuple(sorted(holders, key=lambda holder: (-holder.most, -holder.held))),
            waiting=tuple(self.waiting.most_common()),
        )


class Timeouts:
    """All pool timeouts, grouped by pool and holders; beyond two hundred groups, the rest as one without holders."""

    def __init__(self) -> None:
        self._groups: dict[object, TimeoutTally] = {}

    def take(
        self,
        line: TimeoutLine,
        pool: PoolSettings | None,
        moment: float,
        waiting: Frames,
        frames: Callable[[int], Frames],
    ) -> None:
        """One more; `frames` gives those of a site's number."""
        key: object = (pool, frozenset(frames(holder.site) for holder in line.holders))
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            key, pool, line = None, None, line._replace(holders=(), more=len(line.holders) + line.more)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = TimeoutTally(pool)
        group.take(line, moment, waiting, frames)

    def summaries(self) -> tuple[TimeoutGroup, ...]:
        """The most frequent first."""
        return tuple(sorted((group.summary() for group in self._groups.values()), key=lambda group: -group.count))
