"""The server was started a short while ago

What it means
    The server process is less than ten minutes old: a restart, a crash, a failover, or a new machine.

Why it matters
    All sessions from before are gone. Every pool that was connected then meets a dead connection once per pooled
    session, unless it tests them at checkout; caches are cold, and everyone logs in at the same time.

What to do
    If it was not planned, the server's log says why. In the application:

        create_engine(url, pool_pre_ping=True)
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target

CODES = ("recently-restarted",)

# Ten minutes: long enough that an alarm's reader still sees it; dbdoctor's own judgement.
_RECENT = 600.0


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:  # noqa: ARG001 - every rule's shape
    """Whether the server is younger than ten minutes."""
    if facts.uptime is None or facts.uptime >= _RECENT:
        return
    yield Finding(
        code="recently-restarted",
        severity=Severity.INFO,
        title=f"the server was started {format_duration(facts.uptime)} ago",
        why="connections pooled before that are dead, and the first use of each fails unless it is tested at checkout",
        fix="if nobody planned it, the server's log says why",
        command="create_engine(url, pool_pre_ping=True)",
        evidence={"uptime_seconds": facts.uptime},
    )
