"""pool_pre_ping is on, and nothing gives its test a deadline

What it means
    pool_pre_ping sends a statement at checkout and waits for its answer. Neither SQLAlchemy nor the driver limits that
    wait; what would is the kernel, by `tcp_user_timeout` or by keepalives, and neither is set.

Why it matters
    After a silent drop (a firewall, a NAT gateway, a lost host) the test hangs as any statement would: on Linux for about a
    quarter of an hour. What was to protect the checkout is where the application stands still.

What to do
    Give the kernel a limit (libpq, Linux; milliseconds), and keepalives for what waits for an answer:

        create_engine(url, pool_pre_ping=True, connect_args={
            "tcp_user_timeout": 30000, "keepalives_idle": 60,
            "keepalives_interval": 10, "keepalives_count": 3})

    pool_recycle below the path's idle timeout avoids the test of a connection that may be gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.sizing._sized import Sized

CODES = ("pre-ping-without-deadline",)
_LIMITS = ("tcp_user_timeout", "keepalives_idle")


def judge(sized: Sized) -> Iterator[Finding]:
    """libpq's drivers over TCP, where the application's own arguments are known."""
    around = sized.around
    if not sized.current.pool_pre_ping or around.connect_args is None:
        return
    if not around.tcp or around.driver not in ("psycopg2", "psycopg"):
        return
    if any(name in around.connect_args for name in _LIMITS):
        return
    yield Finding(
        code="pre-ping-without-deadline",
        severity=Severity.WARNING,
        title="pool_pre_ping has no deadline: after a silent drop it hangs as long as the kernel does",
        why="its test is a statement like any other, and nothing limits how long its answer is waited for",
        fix="set tcp_user_timeout and keepalives in connect_args",
        command=sized.code("pool_pre_ping", "connect_args"),
        evidence={"pool_pre_ping": True, "driver": around.driver, "wanted_one_of": list(_LIMITS)},
    )
