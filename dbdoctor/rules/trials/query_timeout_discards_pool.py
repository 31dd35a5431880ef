"""A query timeout throws the whole pool away

What it means
    The driver's query timeout ended a statement (HYT00). SQLAlchemy counts HYT00 among the signs of a lost connection on
    mssql+pyodbc, so that it discarded not this connection alone but every connection that the pool had. The timeout also
    came late: the driver waits for the server to acknowledge the cancellation, in a dead connection for as long again as
    the timeout (FreeTDS) or twice as long again (Microsoft's driver).

Why it matters
    One slow report makes every other request of the process log in anew; under load that is a storm of logins at the
    moment when the server is slow already.

What to do
    Say that a timeout is no lost connection, where statements may take long on a server that is well:

        @event.listens_for(engine, "handle_error")
        def a_timeout_is_no_disconnect(context):
            if "HYT00" in str(context.original_exception):
                context.invalidate_pool_on_disconnect = False

    This connection is still discarded, as it should be; the others stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules._common import count
from dbdoctor.rules.trials._tried import Hit, Tried

CODES = ("query-timeout-discards-pool",)

_COMMAND = """\
@event.listens_for(engine, "handle_error")
def a_timeout_is_no_disconnect(context):
    if "HYT00" in str(context.original_exception):
        context.invalidate_pool_on_disconnect = False"""


def judge(tried: Tried) -> Iterator[Finding]:
    """Query timeouts that reached the application, and that SQLAlchemy took for disconnects."""
    hits = [hit for hit in tried.hits() if _discarded(hit)]
    if not hits:
        return
    slowest = max(hit.case.slowest or 0.0 for hit in hits)
    limit = hits[0].plan.query_timeout or 0.0
    reconnects = max(hit.case.reconnects for hit in hits)
    yield tried.finding(
        "query-timeout-discards-pool",
        Severity.WARNING,
        hits,
        title=f"a query timeout of {format_duration(limit)} came after {format_duration(slowest)} in the trial, and "
        "the whole pool was thrown away",
        why=f"SQLAlchemy takes HYT00 for a lost connection and discards all connections ({count(reconnects, 'login')} "
        "followed); the driver waits for the cancellation to be acknowledged, two or three times the timeout in all",
        fix="leave the other connections in the pool when a statement took too long",
        command=_COMMAND,
        evidence={"query_timeout_seconds": limit, "slowest_seconds": round(slowest, 3), "reconnects": reconnects},
    )


def _discarded(hit: Hit) -> bool:
    error = hit.case.error
    return (
        error is not None
        and bool(error.invalidated)
        and "HYT00" in (error.sqlstate or "")
        and bool(hit.plan.query_timeout)
    )
