"""How much an application asks of its pools: recorded, sampled, stated, or not known at all."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Source(str, Enum):
    """Where the demand is known from, best first; `worth` says what the numbers that follow are worth."""

    TRACE = "trace"
    SAMPLES = "samples"
    STATED = "stated"
    NOTHING = "nothing"

    @property
    def worth(self) -> str:
        """What a recommendation from this source is worth, as a sentence for people."""
        return {
            "trace": "replayed checkout by checkout: within one or two connections, if the trace holds the peak",
            "samples": "counts at moments: what happens between two samples is not seen, nor how long a checkout waits",
            "stated": "computed from figures that you stated: as good as they are, and bursts are a guess",
            "nothing": "a rule of thumb: nothing of this application was measured",
        }[self.value]


class Checkout(NamedTuple):
    """One use of a connection. `arrival` is when it was asked for (seconds, any origin); `wait` and `use` are seconds.

    `use` is from checkout to checkin, not the time of queries. `process` tells the pools of a fleet apart.
    """

    arrival: float
    wait: float
    use: float
    process: str = ""


class Course(NamedTuple):
    """The checkouts of one process through one uninterrupted stretch, by arrival; three arrays of the same length."""

    process: str
    arrivals: array[float]
    waits: array[float]
    uses: array[float]

    @property
    def span(self) -> float:
        """Seconds from the first arrival to the last checkin; 0 when it is empty."""
        if not self.arrivals:
            return 0.0
        last = max(map(sum, zip(self.arrivals, self.waits, self.uses, strict=True)))
        return last - self.arrivals[0]


class BadLine(NamedTuple):
    """A line of a trace that could not be read: its number from 1, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded checkouts. `counted` are all that were read, `kept` those in `courses` (fewer when it was sampled).

    `bad` names the first lines that could not be read, `bad_lines` counts all of them. `span` is seconds from the first
    arrival to the last of the whole recording. `processes` counts the processes seen. `notes` say what else is to be known.
    """

    courses: tuple[Course, ...]
    counted: int
    span: float
    processes: int
    bad_lines: int = 0
    bad: tuple[BadLine, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> int:
        """How many checkouts are in memory."""
        return sum(len(course.arrivals) for course in self.courses)

    @property
    def sampled(self) -> bool:
        """Whether the trace was too long to keep, so that blocks of it stand for the whole."""
        return self.kept < self.counted


class Samples(NamedTuple):
    """Non-idle sessions counted again and again, `interval` seconds apart: one tuple of counts for each process.

    `saturated` says that the server's machine was so busy that the counts are too low (its own view lags).
    """

    counts: tuple[tuple[int, ...], ...]
    interval: float
    saturated: bool = False


class Stated(NamedTuple):
    """Demand in the user's own figures, for one process: checkouts per second, seconds of use, and how it varies.

    `burst` is how many times the rate the busiest second has; None is not known.
    `arrival_cv` and `use_cv` are coefficients of variation (1 is Poisson, exponential).
    """

    rate: float
    use: float
    burst: float | None = None
    arrival_cv: float = 1.0
    use_cv: float = 1.0

    @property
    def load(self) -> float:
        """Offered load: connections in use on average (Little)."""
        return self.rate * self.use


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of the demand, and in figures of one process where there are several.

    `load` is the offered load (rate times use: connections in use on average), `peak_load` that of the busiest second,
    `most_at_once` the most checkouts in use or waiting at a time; `rate` is per second, `use` the mean in seconds.
    `waited` is the share of checkouts that waited in the recording. None: not known.
    """

    source: Source
    processes: int = 1
    checkouts: int = 0
    span: float = 0.0
    rate: float | None = None
    use: float | None = None
    load: float | None = None
    peak_load: float | None = None
    most_at_once: int | None = None
    arrival_cv: float | None = None
    use_cv: float | None = None
    waited: float | None = None
    notes: tuple[str, ...] = ()
