"""The client's TCP keepalives begin after the path's idle timeout

What it means
    The driver is told to probe idle connections (`keepalives_idle`, on SQL Server `KeepAlive`), but the first probe comes
    when the path has already forgotten the connection. It cannot keep alive what is dropped; it can only find out.

Why it matters
    If the application comes back after the probes have found the loss, the first request fails at once. If it comes back
    before, it hangs: as soon as a statement is outstanding the kernel sends that again, and no probes, until
    net.ipv4.tcp_retries2 is used up.

What to do
    Probe well before the timeout, half of it at most; that restarts the idle timer of what counts probes as traffic
    (firewalls, NAT, balancers below the protocol):

        create_engine(url, connect_args={
            "keepalives_idle": 60, "keepalives_interval": 10,
            "keepalives_count": 3,
        })

    HAProxy, PgBouncer and Azure SQL's gateway do not count them: there only pool_recycle helps.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.trial import PoolPlan
from dbdoctor.rules.trials._tried import CURRENT, Tried

CODES = ("keepalive-above-idle-timeout",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools with keepalives of their own that come too late, where keepalives in time would have counted."""
    scale = tried.report.scale
    hits = [
        hit
        for hit in tried.hits()
        if hit.fails and hit.is_idle_timeout and hit.fault.counts_keepalives and _idle(hit.plan) >= scale.trial
    ]
    if not hits:
        return
    real = _real_idle(hits[0].plan, tried)
    hang = any(hit.hangs for hit in hits)
    yield tried.finding(
        "keepalive-above-idle-timeout",
        Severity.WARNING,
        hits,
        title=f"keepalives begin after {format_duration(real)}, and the path drops what is idle for "
        f"{format_duration(scale.real)}",
        why="the first probe comes when the connection is gone: it cannot keep it alive, and once a statement is "
        f"outstanding no probe is sent{', so that the request hangs' if hang else ''}",
        fix="probe at half the path's idle timeout or sooner",
        command=tried.keepalive_code,
        evidence={"keepalive_idle_seconds": round(real, 3), "idle_timeout_seconds": scale.real},
    )


def _idle(plan: PoolPlan) -> float:
    """The keepalive that the plan itself sets, in seconds of the trial; 0 where it sets none."""
    value = plan.connect_args.get("keepalives_idle", plan.connect_args.get("KeepAlive", 0))
    return float(value)


def _real_idle(plan: PoolPlan, tried: Tried) -> float:
    """In real seconds: as the application states it, or what the trial's whole seconds stand for."""
    stated = tried.target.parameters.get("keepalives_idle", tried.target.parameters.get("KeepAlive", ""))
    if plan.name == CURRENT and stated.isdigit() and int(stated):
        return float(stated)
    return _idle(plan) * tried.report.scale.factor
