"""Something ends connections that nobody uses for a while

What it means
    Connections to this server were left alone, and after so many seconds they were ended: by the server itself, by a
    pooler or a proxy, or by a firewall, a load balancer or a NAT gateway on the way. Who it was is deduced from how the
    connection ended and from what the server says of its own settings.

Why it matters
    A pool keeps connections while nobody needs them. After a quiet while it hands out one that is gone. Where the end was
    announced (a reset, an orderly close, the server's message), the first statement fails at once; where it was silent,
    it hangs, for about 15 minutes on Linux, and pool_pre_ping hangs with it, since it has no deadline.

What to do
    Let the pool replace connections before they are ended, and test them at checkout:

        create_engine(url, pool_recycle=280, pool_pre_ping=True)

    Where a TCP keepalive counts as traffic (firewalls, NAT, load balancers below the level of the protocol), let the
    driver send one well before the timeout; a proxy or a server that counts statements is not impressed by them:

        create_engine(url, connect_args={
            "keepalives_idle": 60, "keepalives_interval": 10,
            "keepalives_count": 3, "tcp_user_timeout": 30000})

    tcp_user_timeout (milliseconds, Linux) bounds what a silent drop can cost.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.measured import Drop, Measured
from dbdoctor.model.target import Product

CODES = ("idle-timeout-found",)

_COSTS = {
    Drop.SILENT: "the first statement on such a connection hangs, for about 15 minutes on Linux, and pool_pre_ping with it",
    Drop.RESET_ON_USE: "the first statement on such a connection fails at once, as far as the reset reaches it; "
    "pool_pre_ping notices it",
    Drop.RESET: "the first statement on such a connection fails at once; pool_pre_ping notices it",
    Drop.CLOSED: "the first statement on such a connection fails at once; pool_pre_ping notices it",
    Drop.SERVER_ERROR: "the first statement on such a connection fails at once; pool_pre_ping notices it",
}


def judge(measured: Measured) -> Iterator[Finding]:
    """The timeout that was measured, and the settings that follow."""
    if measured.seconds is None:
        return
    advice = measured.advice
    shown = format_duration(measured.seconds)
    keepalive = ", or let TCP keepalives keep them alive" if advice.keepalives_idle else ""
    yield Finding(
        code=CODES[0],
        severity=Severity.INFO,
        title=f"connections idle for {shown} are ended",
        why=f"after {shown} without use, {_COSTS[measured.drop]}",
        fix=f"let the pool replace connections before that{keepalive}",
        command=_command(measured),
        evidence={
            "idle_timeout_seconds": measured.seconds,
            "at_least_seconds": round(measured.bracket.at_least, 3),
            "at_most_seconds": round(measured.bracket.at_most or measured.seconds, 3),
            "drop": measured.drop.value,
            "where": measured.where.value,
        },
    )


def _command(measured: Measured) -> str:
    advice = measured.advice
    pool = f"pool_recycle={advice.pool_recycle}, pool_pre_ping=True"
    idle = advice.keepalives_idle
    if not idle or measured.target.product is not Product.POSTGRESQL:
        return f"create_engine(url, {pool})"
    interval = max(1, min(10, idle // 3))
    return (
        f"create_engine(url, {pool}, connect_args={{\n"
        f'    "keepalives_idle": {idle}, "keepalives_interval": {interval},\n'
        f'    "keepalives_count": 3, "tcp_user_timeout": 30000}})'
    )
