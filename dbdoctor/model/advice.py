"""What `recommend` answers, whole: the recommendation, and beside it sweeps, what-ifs and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.sizing import Budget, Prediction, Recommendation
from dbdoctor.model.verified import Verified


class SweepRow(NamedTuple):
    """What is predicted with one size of the pool. Seconds; None is not known from this source of demand.

    `waiting` is the share of the checkouts that wait at all (of samples: of the moments in which more were busy),
    `timeouts` the checkouts that give up, `connects_per_second` new connections of one process beyond the first
    `pool_size`, `connections` what all processes can open at the height of a rollout.
    """

    size: int
    pool_size: int
    max_overflow: int
    wait_mean: float | None
    wait_p99: float | None
    waiting: float | None
    timeouts: int | None
    connects_per_second: float | None
    connections: int
    chosen: bool = False


class WhatIf(NamedTuple):
    """The answer to one what-if: what was changed, and what then is recommended or (`forced`) predicted.

    `note` says what the answer does not know.
    """

    changes: Mapping[str, Any]
    settings: Mapping[str, Any]
    prediction: Prediction | None
    budget: Budget | None
    forced: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """The whole answer. `target` is None when none was named, `server` when nothing was connected to; `took` is seconds.

    `arguments` are those of the driver that the application gives now, as far as they are known.
    """

    recommendation: Recommendation
    target: str | None = None
    server: str | None = None
    profile: str | None = None
    what_ifs: tuple[WhatIf, ...] = ()
    sweep: tuple[SweepRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    took: float = 0.0
    verified: Verified | None = None
