"""What recordings come to, by line of code: checkouts, waits and uses, what was never returned, who held what at a timeout.

Durations are seconds, moments Unix times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dbdoctor.model.holding import Frame, chosen_frame
from dbdoctor.model.recorded import BadLine, Frames, Header, PoolSettings


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, over `count` of them: seconds. `p95` is within one per cent, the others exact."""

    count: int = 0
    total: float = 0.0
    p95: float = 0.0
    longest: float = 0.0

    @property
    def mean(self) -> float:
        """Seconds; 0 of none."""
        return self.total / self.count if self.count else 0.0


NO_TIMES = Times()
"""Nothing took any time."""


class StillOut(NamedTuple):
    """A checkout that was never returned, as far as the recording goes.

    `held` is seconds; with `at_least` the recording ends before it is known how long it was. `overdue`: it had passed
    leak_after. `process` is the process's id; `thread` its thread's or task's name.
    """

    process: int
    held: float
    at_least: bool
    overdue: bool
    thread: str
    session: int | None


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """What one call site did with connections, over all processes.

    `checkouts` are all, those never returned among them. `out` were never returned: still out when their process ended
    orderly, or out for longer than leak_after when the recording ends; `in_use` were out at the end of the recording, but
    for no longer than usual. `overdue` came back, but only after leak_after, at `returned_at` where that is known;
    `collected` were never returned by the program: the garbage collector did. `timeouts` and `failures` got no connection.
    `use` is of those that ended; `examples` are the longest of `out`.
    """

    frames: Frames
    processes: int
    checkouts: int
    wait: Times
    use: Times
    out: int = 0
    out_overdue: int = 0
    longest_out: float = 0.0
    in_use: int = 0
    overdue: int = 0
    longest_overdue: float = 0.0
    returned_at: Frames = ()
    collected: int = 0
    longest_collected: float = 0.0
    detached: int = 0
    timeouts: int = 0
    failures: int = 0
    examples: tuple[StillOut, ...] = ()

    @property
    def frame(self) -> Frame | None:
        """The line of code to be shown: the innermost that is no installed package's."""
        return chosen_frame(self.frames)

    @property
    def longest(self) -> float:
        """The longest use in seconds, those never returned among them."""
        return max(self.use.longest, self.longest_out)


def shown_site(frames: Frames) -> str:
    """`shop/orders.py:12 take_order`, or that it is not known."""
    frame = chosen_frame(frames)
    return frame.shown if frame else "a line that is not known"


def site_names(sites: Iterable[Frames]) -> dict[Frames, str]:
    """What each is called beside the others: its line, and where several share one, as a helper's, the caller that differs.

    `shop/orders.py:12 take_order via get_session`: the caller, then the function whose line they share.
    """
    groups: dict[str, list[Frames]] = {}
    for frames in dict.fromkeys(sites):
        groups.setdefault(shown_site(frames), []).append(frames)
    return {frames: _told_apart(frames, shown, group) for shown, group in groups.items() for frames in group}


def _told_apart(frames: Frames, shown: str, group: list[Frames]) -> str:
    own = chosen_frame(frames)
    if own is None or len(group) == 1:
        return shown
    for depth in range(frames.index(own) + 1, len(frames)):
        if any(other[depth : depth + 1] != frames[depth : depth + 1] for other in group):
            return f"{frames[depth].shown} via {own.function}"
    return shown


class Holder(NamedTuple):
    """A call site that held connections when a pool timed out: at most so many at once, the longest for `held` seconds."""

    frames: Frames
    most: int
    held: float


@dataclass(frozen=True, slots=True)
class TimeoutGroup:
    """Pool timeouts at which the same call sites held the connections.

    `waiting` are the sites that got none, with how often; `wait` is the longest wait in seconds. `first` and `last` are
    Unix times. `held` is how many connections were held at most at once, those of holders that are not named included.
    """

    pool: PoolSettings | None
    count: int
    first: float
    last: float
    wait: float
    held: int
    holders: tuple[Holder, ...]
    waiting: tuple[tuple[Frames, int], ...]


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """Pools of the same settings on the same server, over all processes.

    `opened` are connections opened while recording: `overflow` of them beyond pool_size, `recycled` for pool_recycle,
    `reconnected` after an invalidation. `closed`, `invalidated`, `soft_invalidated`, `detached` count events; `resets` those on
    return, as `settings.reset_on_return` has them.
    `failures` are errors instead of a connection, by the class's name; `errors` those that invalidated one.
    """

    settings: PoolSettings
    server: str
    processes: int
    pools: int
    opened: int = 0
    connect: Times = NO_TIMES
    overflow: int = 0
    recycled: int = 0
    reconnected: int = 0
    closed: int = 0
    invalidated: int = 0
    soft_invalidated: int = 0
    detached: int = 0
    resets: int = 0
    timeouts: int = 0
    failures: tuple[tuple[str, int], ...] = ()
    errors: tuple[tuple[str, int], ...] = ()


class ProcessSummary(NamedTuple):
    """One process. `until` is the last moment recorded (Unix time); `ended` is how it ended, None when that was not told.

    `alive`: it runs still. `first_part` is greater than 1 when what was recorded before was overwritten.
    """

    header: Header
    until: float
    checkouts: int
    ended: str | None
    alive: bool
    disabled: str | None
    lost: int
    first_part: int

    @property
    def is_killed(self) -> bool:
        """Whether it is gone without having said so (kill -9, a crash)."""
        return self.ended is None and not self.alive and self.disabled is None


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that was read, summed up. `began` and `until` are Unix times (0 when there is no process).

    `bad_lines` could not be read, `bad` names the first; `cut_short` files end in the middle of a line.
    `unassigned` are ends of checkouts whose beginning was overwritten.
    """

    processes: tuple[ProcessSummary, ...] = ()
    sites: tuple[SiteSummary, ...] = ()
    timeouts: tuple[TimeoutGroup, ...] = ()
    pools: tuple[PoolSummary, ...] = ()
    began: float = 0.0
    until: float = 0.0
    files: int = 0
    lines: int = 0
    bad_lines: int = 0
    bad: tuple[BadLine, ...] = ()
    cut_short: int = 0
    unassigned: int = 0
    notes: tuple[str, ...] = ()

    @property
    def checkouts(self) -> int:
        """All of them, over all call sites."""
        return sum(site.checkouts for site in self.sites)

    @property
    def names(self) -> dict[Frames, str]:
        """What each call site is called; those that only held or waited at a timeout among them."""
        holders = (holder.frames for group in self.timeouts for holder in group.holders)
        return site_names([*(site.frames for site in self.sites), *holders])

    @property
    def leak_after(self) -> float:
        """Seconds after which a checkout was reported; the least of the processes', 60 without any."""
        return min((process.header.leak_after for process in self.processes), default=60.0)
