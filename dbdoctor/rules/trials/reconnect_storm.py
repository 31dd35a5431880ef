"""All connections of the pool are opened anew at the same moment

What it means
    The fault took every connection of the pool at once, and the application, using several at the same time, logged in
    for each of them within moments. More logins than there were connections mean that some were made and thrown away
    again: an error on one connection makes SQLAlchemy discard all that are older.

Why it matters
    A login is the dearest thing a client can ask of the server (2 to 5 ms of its processor here, more with TLS), and every
    process does it in the same moment: a fleet of 50 processes with pools of 15 sends 750 logins. Requests wait for them,
    and some servers refuse (`sorry, too many clients already`, 10928) since the old sessions have not ended yet.

What to do
    Replace connections at different times: pool_recycle below the path's timeout does so where the pool is in use. Let
    the pool keep no more than it needs, and let the surplus go idle together:

        create_engine(url, pool_size=5, max_overflow=5,
                      pool_recycle=280, pool_use_lifo=True)

    A pooler (PgBouncer) between the fleet and the server takes the logins from the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules._common import count
from dbdoctor.rules.trials._tried import Hit, Tried

CODES = ("reconnect-storm",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools used by several at once that logged in for each of them after the fault."""
    hits = [hit for hit in tried.hits() if _storms(hit)]
    if not hits:
        return
    worst = max(hits, key=lambda hit: hit.case.reconnects)
    wasted = worst.case.reconnects - worst.plan.threads
    processes = (tried.target.pool.processes or 1) * (tried.target.pool.replicas or 1) if tried.target.pool else 1
    fleet = (
        f"; {count(processes, 'process', 'processes')} make that {worst.case.reconnects * processes:,}"
        if processes > 1
        else ""
    )
    yield tried.finding(
        "reconnect-storm",
        Severity.WARNING if wasted > 0 else Severity.INFO,
        hits,
        title=f"{count(worst.case.reconnects, 'login')} at once for {count(worst.plan.threads, 'connection')}{fleet}",
        why="the fault takes all connections of the pool together, and everybody logs in in the same moment"
        + (f"; {count(wasted, 'login was', 'logins were')} made in vain" if wasted > 0 else ""),
        fix="keep no more connections than needed, and let them be replaced at different times",
        command=f"create_engine(url, pool_recycle={tried.recycle}, pool_use_lifo=True)",
        evidence={"reconnects": worst.case.reconnects, "connections": worst.plan.threads, "processes": processes},
    )


def _storms(hit: Hit) -> bool:
    return (
        hit.plan.threads > 1
        and hit.plan.ping_every is None
        and hit.plan.pool_class != "NullPool"
        and hit.case.reconnects >= hit.plan.threads
    )
