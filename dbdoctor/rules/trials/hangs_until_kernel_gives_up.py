"""A request hangs until the kernel gives the connection up

What it means
    A connection was dropped without a word, the application used it, and its request never ended while it was watched.
    Which limit would have ended it depends on what is outstanding. A statement that nobody acknowledged is sent again and
    again until `net.ipv4.tcp_retries2` is used up (15 by default: first 200 ms, each time twice as long, 120 s at most,
    924.6 s and more in all) or `tcp_user_timeout` is over. A request that only waits for its answer is ended by TCP
    keepalive, 2 h 11 min by Linux's defaults. Behind a proxy that acknowledges everything nothing ends it.

Why it matters
    Each such request holds a connection of the pool and a thread of the application. A few of them use the pool up, and
    then every request fails with `QueuePool limit ... reached`, though the database is well.

What to do
    Let no connection idle for so long that the path drops it:

        create_engine(url, pool_recycle=280)

    Where keepalives count as traffic on the path, they keep it from being dropped, and limit the wait for an answer:

        create_engine(url, connect_args={
            "keepalives_idle": 60, "keepalives_interval": 10,
            "keepalives_count": 3, "tcp_user_timeout": 30000,
        })
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.trial import Bound, Scenario
from dbdoctor.rules.trials._tried import Hit, Tried
from dbdoctor.rules.trials._words import lasts, seconds

CODES = ("hangs-until-kernel-gives-up",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Requests that hang; those in the ping of pool_pre_ping are told by another rule. One finding for each limit."""
    hung = [
        hit
        for hit in tried.hits()
        if hit.hangs and not hit.is_login and not (hit.plan.pool_pre_ping and hit.fault.scenario is Scenario.IDLE)
    ]
    groups: dict[tuple[str, bool], list[Hit]] = {}
    for hit in hung:
        why = hit.case.would_hang.why if hit.case.would_hang else "or nothing"
        groups.setdefault((why, _replaces_in_time(hit, tried)), []).append(hit)
    for (why, replaces), hits in groups.items():
        limit = hits[0].case.would_hang
        fix, command = _REPLACED if replaces else _remedy(hits[0], tried)
        faults = ", ".join(dict.fromkeys(hit.fault.code for hit in hits))
        closing = (
            "closing the old connection hangs: the driver waits for the answer to its rollback; " if replaces else ""
        )
        yield tried.finding(
            "hangs-until-kernel-gives-up",
            Severity.ERROR,
            hits,
            title=f"a request hangs {lasts(limit)} on this host ({faults})",
            why=f"{closing}{_ended_by(limit)} ({why}); meanwhile it holds a connection and a thread",
            fix=fix,
            command=command,
            evidence=seconds(limit),
        )


# FreeTDS, measured; psycopg2 and Microsoft's driver 18 close at once.
_REPLACED = ("use a driver that closes without waiting (Microsoft's ODBC driver 18), or NullPool", None)


def _ended_by(limit: Bound | None) -> str:
    if limit is None or limit.most is None:
        return "no setting of the pool ends it, and the kernel does not either"
    return "no setting of the pool ends it, only the kernel does"


def _replaces_in_time(hit: Hit, tried: Tried) -> bool:
    """Whether the pool did what is advised, before the path dropped the connection, and hung all the same."""
    return (
        hit.is_idle_timeout
        and not hit.plan.driver_manager_pooling
        and 0 <= hit.plan.pool_recycle < tried.report.scale.trial
    )


def _remedy(hit: Hit, tried: Tried) -> tuple[str, str]:
    if hit.fault.scenario is Scenario.QUERY:
        return "keep the connection alive, so that the answer is not lost", tried.keepalive_code
    return "replace connections before the path drops them", tried.recycle_code
