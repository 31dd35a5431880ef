"""The stages of a connection attempt, in the order they happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dbdoctor.model.finding import Finding


class StageName(str, Enum):
    """resolve - connect - tls - login - query."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    LOGIN = "login"
    QUERY = "query"


class Stage(NamedTuple):
    """One stage that ended. `seconds` is its wall time; `lines` are further details, one an address or fact."""

    name: StageName
    ok: bool
    seconds: float
    detail: str
    lines: tuple[str, ...] = ()


class StageStarted(NamedTuple):
    """A stage that is under way, so that it is seen while it hangs."""

    name: StageName
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage failed: the code names it; `subject` values fill the page's text; `cause` is the other side's own words.

    `sqlstate` is the server's, recovered from the wire; `values` are what this failure is about (host, seconds, role).
    """

    code: str
    stage: StageName
    cause: str | None = None
    sqlstate: str | None = None
    values: dict[str, object] = field(default_factory=dict)


class Timings(NamedTuple):
    """What connecting costs: one login and one round trip a sample, seconds, in the order measured."""

    logins: tuple[float, ...] = ()
    round_trips: tuple[float, ...] = ()

    @property
    def login_median(self) -> float:
        """Seconds; ValueError without a sample."""
        return _median(self.logins)

    @property
    def round_trip_median(self) -> float:
        """Seconds; ValueError without a sample."""
        return _median(self.round_trips)


def _median(figures: tuple[float, ...]) -> float:
    """The standard library's `statistics` would cost 7 ms of every check for these three lines."""
    if not figures:
        raise ValueError("there is no median of nothing")
    ordered, middle = sorted(figures), len(figures) // 2
    return ordered[middle] if len(figures) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


__all__ = ["Failure", "Finding", "Stage", "StageName", "StageStarted", "Timings"]
