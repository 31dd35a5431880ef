r"""This role's password expires soon

What it means
    The role has a VALID UNTIL date. From then on the server refuses its password as if it were wrong. Sessions that
    are open stay open.

Why it matters
    Nothing fails at that moment. Hours later a pool reconnects, or a process restarts, and gets
    `FATAL: password authentication failed`, which sends everyone looking for a wrong password.

What to do
    Set a new password (in psql, so that it is in no log), and a new date or none:

        \password app
        ALTER ROLE "app" VALID UNTIL 'infinity';
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._common import role_in_sql, threshold_of

CODES = ("password-expires-soon",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """VALID UNTIL against the server's clock; a role that logs in otherwise (certificate, peer) may be past it."""
    if facts.password_expires_at is None or facts.server_time is None:
        return
    left = facts.password_expires_at - facts.server_time
    if left >= threshold_of(target, "password_expiry_warning"):
        return
    when = datetime.fromtimestamp(facts.password_expires_at, UTC)
    title = f"the password of {facts.user} expires in {format_duration(left)} ({when:%Y-%m-%d %H:%M} UTC)"
    if left <= 0:
        title = f"the password of {facts.user} expired {format_duration(-left)} ago ({when:%Y-%m-%d %H:%M} UTC)"
    yield Finding(
        code="password-expires-soon",
        severity=Severity.WARNING,
        title=title,
        why="open sessions stay, so it shows only when a pool reconnects: as `password authentication failed`",
        fix="set a new password, then a new date or none",
        command=f"ALTER ROLE {role_in_sql(facts)} VALID UNTIL 'infinity';",
        evidence={"expires_at": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "left_seconds": left},
    )
