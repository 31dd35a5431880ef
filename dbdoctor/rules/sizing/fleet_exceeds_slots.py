"""The declared services can ask for more sessions than are usable

What it means
    Each process of each service holds a pool of its own, and each opens up to pool_size + max_overflow sessions. Summed
    over all services that share the server this is more than is usable, even between rollouts.

Why it matters
    Nothing is wrong until the load comes; then the last to connect get `FATAL: sorry, too many clients already`, and which
    service that is, is chance.

What to do
    `dbdoctor recommend` allots what there is, by what waiting it takes off, as a table with its sum. Fewer processes with
    more threads each need fewer connections than many processes; a transaction pooler shares them out by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized, rows

CODES = ("fleet-exceeds-slots",)


def judge(sized: Sized) -> Iterator[Finding]:
    """The sum of the declared pools, between rollouts."""
    fleet = sized.at_rest
    if fleet is None or fleet.feasible:
        return
    yield Finding(
        code="fleet-exceeds-slots",
        severity=Severity.ERROR,
        title=f"{len(fleet.rows)} services can ask for {fleet.total} sessions, and {fleet.usable} are usable",
        why="under full load some of them end in a refused login, whichever comes last",
        fix="lower pool_size and max_overflow as the budget says, run fewer processes, or share sessions by a pooler",
        command=sized.code("pool_size", "max_overflow"),
        evidence={
            "total": fleet.total,
            "usable": fleet.usable,
            "usable_working": fleet.usable_working,
            "services": [row._asdict() for row in fleet.rows],
        },
        rows=rows(fleet),
    )
