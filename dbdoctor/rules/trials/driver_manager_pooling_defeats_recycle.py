"""The ODBC driver manager gives the old connection back to the pool that replaces it

What it means
    unixODBC keeps a pool of its own (`Pooling=Yes` in the section [ODBC] of odbcinst.ini, with CPTimeout at the driver).
    When SQLAlchemy closes a connection to replace it, the driver manager keeps it, and gives it out again for the next
    login: the same dead socket. `pyodbc.pooling = False` does not turn that off on unixODBC.

Why it matters
    pool_recycle, pool_pre_ping and NullPool all end with "connect again", and get what they wanted to be rid of: the
    request hangs or fails (08S01) though a new connection was made just before.

What to do
    Switch it off in odbcinst.ini (`odbcinst -j` says where it is), and leave pooling to SQLAlchemy:

        [ODBC]
        Pooling=No
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.trial import Outcome
from dbdoctor.rules.trials._tried import Hit, Tried

CODES = ("driver-manager-pooling-defeats-recycle",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools that replace their connections in time, above one that does not, and fail."""
    hits = [
        hit
        for hit in tried.hits()
        if hit.plan.driver_manager_pooling and hit.fails and hit.is_idle_timeout and _should_survive(hit, tried)
    ]
    if not hits:
        return
    recycle = format_duration(hits[0].plan.pool_recycle * tried.report.scale.factor)
    yield tried.finding(
        "driver-manager-pooling-defeats-recycle",
        Severity.ERROR,
        hits,
        title=f"pool_recycle after {recycle} gets the same dead connection back from the ODBC driver manager",
        why="the driver manager keeps what SQLAlchemy closes, and gives it out again for the next login",
        fix="switch the driver manager's pooling off in odbcinst.ini",
        command="[ODBC]\nPooling=No",
        evidence={"pool_recycle_seconds": hits[0].plan.pool_recycle * tried.report.scale.factor},
    )


def _should_survive(hit: Hit, tried: Tried) -> bool:
    """It recycles in time; and where the same was tried without the second pool, that survived."""
    alone = tried.report.case(hit.fault.code, "recycle-below")
    if alone is not None and alone.outcome is not Outcome.SURVIVES:
        return False
    return 0 <= hit.plan.pool_recycle < tried.report.scale.trial
