"""What came of running a demand for real: predicted beside measured, for each of the pools that were tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dbdoctor.model.sizing import Range
from dbdoctor.model.trial import PoolPlan


class Waits(NamedTuple):
    """What checkouts waited, in seconds, and how it ended. `connects` are new connections after the first `pool_size`."""

    mean: float
    p95: float
    p99: float
    timeouts: int
    connects: int


class WaitRanges(NamedTuple):
    """The 5 % and 95 % points of each of them, by a bootstrap of blocks; seconds."""

    mean: Range
    p95: Range
    p99: Range


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pool: `runs` times the window through it. Figures are of all runs together; predicted is as many times.

    `late` is by how much the latest hundredth of the arrivals came too late, `use` the mean use and `login` that of a login
    while it ran (None: there was none), all in seconds; predicted is with such logins. `errors` are checkouts that failed
    otherwise than by a timeout of the pool, `error` the first in words. `void` says why the measurement is worth nothing;
    `agrees` is None then, else whether the prediction held.
    """

    pool: PoolPlan
    runs: int
    checkouts: int
    predicted: Waits
    measured: Waits | None
    ranges: WaitRanges | None
    late: float
    use: float
    login: float | None = None
    errors: int = 0
    error: str | None = None
    void: str | None = None
    agrees: bool | None = None


class ThroughFault(NamedTuple):
    """What a pool did when the path's idle timeout had passed: `outcome` is a value of Outcome; None was not testable."""

    fault: str
    pool: str
    outcome: str | None
    failed: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """All of it. `seconds` is the window's length, `statement` whether it was the user's.

    `processes` were run at the same time, each with a pool, and `process` is the busiest. `incomplete` says why not
    everything was run (interrupted).
    """

    seconds: float
    checkouts: int
    process: str
    statement: bool
    verdicts: tuple[Verdict, ...]
    faults: tuple[ThroughFault, ...] = ()
    notes: tuple[str, ...] = ()
    incomplete: str | None = None
    processes: int = 1
