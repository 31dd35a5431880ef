"""What one call site did with connections, counted as the lines come."""

from __future__ import annotations

import heapq

from dbdoctor.model.recorded import Frames
from dbdoctor.model.recorded_summary import SiteSummary, StillOut
from dbdoctor.traces.spread import Spread

_MOST_EXAMPLES = 20


class SiteTally:
    """Counts of one call site. Durations are whole microseconds."""

    __slots__ = (
        "collected", "detached", "failures", "frames", "in_use", "longest_collected", "longest_overdue", "out", "out_overdue",
        "overdue", "processes", "returned_at", "stills", "timeouts", "unknown", "use", "wait",
    )  # fmt: skip

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.processes: set[str] = set()
        self.wait = Spread()
        self.use = Spread()
        self.out = self.out_overdue = self.in_use = self.overdue = self.collected = self.detached = self.unknown = 0
        self.longest_overdue = self.longest_collected = 0
        self.timeouts = self.failures = 0
        self.returned_at: Frames = ()
        self.stills: list[StillOut] = []

    @property
    def is_used(self) -> bool:
        """Whether anything happened there but that it was seen."""
        return bool(self.wait.count or self.timeouts or self.failures)

    def end(self, use: int, how: str, returned_at: Frames, *, overdue: bool) -> None:
        """A checkout that had been written as open has ended."""
        if how == "lost":  # nobody knows when
            self.unknown += 1
            return
        self.use.add(use)
        if how == "garbage-collected":
            self.collected += 1
            self.longest_collected = max(self.longest_collected, use)
        elif how == "detached":
            self.detached += 1
        elif overdue:
            self.take_overdue(use, returned_at)

    def take_overdue(self, use: int, returned_at: Frames = ()) -> None:
        """One came back after leak_after."""
        self.overdue += 1
        if use >= self.longest_overdue:
            self.longest_overdue = use
            self.returned_at = returned_at or self.returned_at

    def stay(self, still: StillOut, *, is_leak: bool) -> None:
        """A checkout was still out when its recording ended."""
        if not is_leak:
            self.in_use += 1
            return
        self.out += 1
        self.out_overdue += still.overdue
        self.stills.append(still)
        if len(self.stills) > 2 * _MOST_EXAMPLES:
            self.stills = self._longest()

    def _longest(self) -> list[StillOut]:
        return heapq.nlargest(_MOST_EXAMPLES, self.stills, key=lambda still: still.held)

    def summary(self) -> SiteSummary:
        """What it comes to, in seconds."""
        examples = tuple(self._longest())
        return SiteSummary(
            frames=self.frames,
            processes=len(self.processes),
            checkouts=self.wait.count,
            wait=self.wait.times(),
            use=self.use.times(),
            out=self.out,
            out_overdue=self.out_overdue,
            longest_out=examples[0].held if examples else 0.0,
            in_use=self.in_use,
            overdue=self.overdue,
            longest_overdue=self.longest_overdue / 1e6,
            returned_at=self.returned_at,
            collected=self.collected,
            longest_collected=self.longest_collected / 1e6,
            detached=self.detached,
            timeouts=self.timeouts,
            failures=self.failures,
            examples=examples,
        )
