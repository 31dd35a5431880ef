"""A dropped connection keeps its session on the server

What it means
    Connections were dropped on the way without a word to the server. Their sessions were still there afterwards: nobody is
    behind them, and each holds a slot, and whatever locks and transactions it had. The server notices only when its own
    TCP keepalives find nobody, which is two hours and more by the operating system's defaults.

Why it matters
    Every such drop and reconnect leaves one session more; pool_size does not bound them. In the end the server answers
    `sorry, too many clients already`, or an abandoned transaction blocks others.

What to do
    Let the server look for its clients more often:

        ALTER SYSTEM SET tcp_keepalives_idle = 60;
        ALTER SYSTEM SET tcp_keepalives_interval = 10;
        ALTER SYSTEM SET tcp_keepalives_count = 3;
        SELECT pg_reload_conf();

    And let the pool replace connections before they are dropped (`pool_recycle`), which leaves no such sessions.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.measured import Measured
from dbdoctor.model.target import Product

# The page of its code is that of dbdoctor.rules.trials, which finds the same in trials.
CODES: tuple[str, ...] = ()
_CODE = "ghost-sessions"
_PROMPT = 600.0


def judge(measured: Measured) -> Iterator[Finding]:
    """Sessions that outlived their connections."""
    ghosts = measured.ghosts
    if ghosts is None or not ghosts.sessions or (ghosts.kept_seconds or _PROMPT) < _PROMPT:
        return
    kept = f"for {format_duration(ghosts.kept_seconds)}" if ghosts.kept_seconds else "until its keepalives find nobody"
    postgresql = measured.target.product is Product.POSTGRESQL
    yield Finding(
        code=_CODE,
        severity=Severity.WARNING,
        title=f"{ghosts.sessions} of our {ghosts.looked_for} sessions outlived their connections on the server",
        why=f"the server keeps such a session {kept}, and with it a slot and its locks",
        fix="let the server look for its clients more often, and the pool replace connections before they are dropped",
        command="ALTER SYSTEM SET tcp_keepalives_idle = 60;\nSELECT pg_reload_conf();" if postgresql else None,
        evidence={
            "sessions": ghosts.sessions,
            "looked_for": ghosts.looked_for,
            "kept_seconds": ghosts.kept_seconds,
            "ended": ghosts.ended,
        },
    )
