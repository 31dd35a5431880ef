"""The server takes hours to notice that a client has vanished

What it means
    When a client disappears without closing (a firewall dropped the connection, a machine lost power), the server
    learns of it only by TCP keepalive: after `tcp_keepalives_idle` of silence, then `tcp_keepalives_count` probes
    `tcp_keepalives_interval` apart. The operating system's usual values make that 2 h 11 min.

    It is information, and a warning when the path's idle timeout is declared (`path_idle_timeout`) and shorter: then
    every connection that is idle for long leaves such a session behind.

Why it matters
    Each vanished client's session keeps its slot, and its locks if it was in a transaction, for that long. A pool that
    reconnects after each silent drop adds one more each time; pool_size does not bound them.

What to do
    Let the server ask sooner, for all or for one role (it is a setting of the session, no restart):

        ALTER SYSTEM SET tcp_keepalives_idle = 60;
        ALTER SYSTEM SET tcp_keepalives_interval = 10;
        ALTER SYSTEM SET tcp_keepalives_count = 6;
        SELECT pg_reload_conf();
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target
from dbdoctor.rules._common import is_near, role_in_sql, unseen

CODES = ("server-keepalive-slow",)

# Linux: net.ipv4.tcp_keepalive_time, _intvl, _probes (tcp(7)); what 0 stands for in PostgreSQL's settings.
_SYSTEM = {"tcp_keepalives_idle": 7200.0, "tcp_keepalives_interval": 75.0, "tcp_keepalives_count": 9.0}
# An hour of a ghost's life is worth a word; dbdoctor's own judgement.
_SLOW = 3600.0


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """How long a vanished client's session lives; on one machine clients cannot vanish, and a pooler's do not."""
    if target.product is not Product.POSTGRESQL or facts.pooler or is_near(facts, target):
        return
    if "tcp_keepalives_idle" not in facts.settings:
        yield unseen("server-keepalive-slow", facts, "tcp_keepalives_idle")
        return
    idle, interval, probes = (facts.settings.get(name) or default for name, default in _SYSTEM.items())
    noticed = idle + interval * probes
    dropped = target.path_idle_timeout is not None and target.path_idle_timeout < idle
    if noticed < _SLOW and not dropped:
        return
    why = "its slot and its locks stay taken that long, and each reconnect after a silent drop adds another session"
    if dropped and target.path_idle_timeout is not None:
        why = f"the path drops what is idle for {format_duration(target.path_idle_timeout)}, before any probe: {why}"
    yield Finding(
        code="server-keepalive-slow",
        severity=Severity.WARNING if dropped else Severity.INFO,
        title=f"the server notices a vanished client after {format_duration(noticed)}",
        why=why,
        fix="let the server probe idle connections sooner; for this role's new sessions:",
        command=_command(role_in_sql(facts), target.path_idle_timeout),
        evidence={
            "tcp_keepalives_idle_seconds": idle,
            "tcp_keepalives_interval_seconds": interval,
            "tcp_keepalives_count": int(probes),
            "noticed_after_seconds": noticed,
            "path_idle_timeout_seconds": target.path_idle_timeout,
        },
    )


def _command(role: str, path_idle_timeout: float | None) -> str:
    idle = 60 if path_idle_timeout is None else max(1, min(60, int(path_idle_timeout / 2)))
    values = (("idle", idle), ("interval", 10), ("count", 6))
    return "\n".join(f"ALTER ROLE {role} SET tcp_keepalives_{name} = {value};" for name, value in values)
