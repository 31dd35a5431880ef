"""The services fit between rollouts, and not while one runs

What it means
    A rolling deploy starts new processes before it ends the old ones: for a while both hold their pools. With the replicas
    that the rollout adds, and those that are still terminating, the pools can ask for more sessions than are usable.

Why it matters
    The deploy fails when it is busiest: new processes cannot log in, are found unhealthy and started again, and the old
    ones are not ended because the new ones never get ready.

What to do
    Size the pools for the height of the rollout, or roll out with less surge (Kubernetes: `maxSurge: 0` or `1`), and let
    old processes give their connections back first (`engine.dispose()` when they are told to end).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized, rows

CODES = ("rollout-exceeds-slots",)


def judge(sized: Sized) -> Iterator[Finding]:
    """The sum of the declared pools at the height of a rollout, where the sum between rollouts fits."""
    rest, peak = sized.at_rest, sized.in_rollout
    if peak is None or peak.feasible or (rest is not None and not rest.feasible):
        return
    calm = f"{rest.total} between rollouts and " if rest is not None else ""
    yield Finding(
        code="rollout-exceeds-slots",
        severity=Severity.WARNING,
        title=f"the pools can ask for {calm}{peak.total} sessions during one, and {peak.usable} are usable",
        why="old and new processes hold their pools at the same time: the new ones are refused, and the rollout stalls",
        fix="size the pools for the rollout, or roll out with less surge",
        command=sized.code("pool_size", "max_overflow"),
        evidence={
            "total": peak.total,
            "total_at_rest": rest.total if rest is not None else None,
            "usable": peak.usable,
            "services": [row._asdict() for row in peak.rows],
        },
        rows=rows(peak),
    )
