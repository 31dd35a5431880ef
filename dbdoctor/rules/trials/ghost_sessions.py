"""A dropped connection leaves its session on the server

What it means
    The path dropped connections without telling the server. The pool opened new ones, and the old sessions were still on
    the server: nobody is behind them. The server notices by its own TCP keepalives only, two hours and more by the
    operating system's defaults; pool_size does not bound how many there are.

Why it matters
    Each holds a slot, and its locks if it was in a transaction. After enough quiet hours the server says `sorry, too many
    clients already`, or a statement waits for a lock of somebody who is long gone.

What to do
    Let the server look for its clients more often, for all or for one role (new sessions, no restart):

        ALTER ROLE "app" SET tcp_keepalives_idle = 60;
        ALTER ROLE "app" SET tcp_keepalives_interval = 10;
        ALTER ROLE "app" SET tcp_keepalives_count = 3;

    Keepalives from the client in time, where the path counts them, keep connections from being dropped at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.target import Product
from dbdoctor.rules._common import count
from dbdoctor.rules.trials._tried import Hit, Tried
from dbdoctor.rules.trials._words import bound

CODES = ("ghost-sessions",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Sessions that the pool had no longer, and the server still had."""
    hits = sorted((hit for hit in tried.hits() if hit.case.ghosts), key=lambda hit: -_locks(hit))
    if not hits:
        return
    most = max(len(hit.case.ghosts or ()) for hit in hits)
    locks = max(map(_locks, hits))
    kept = hits[0].case.ghost_bound
    holds = f", with {count(locks, 'lock')}" if locks else ""
    yield tried.finding(
        "ghost-sessions",
        Severity.WARNING,
        hits,
        title=f"a drop leaves {count(most, 'session')} on the server{holds}, for {bound(kept)}",
        why="each holds a slot with nobody behind it, and each drop and reconnect adds another; the server ends it when its "
        f"own keepalives find nobody ({kept.why if kept else 'unknown'})",
        fix="let the server look for its clients more often",
        command=_command(tried),
        evidence={
            "ghosts": most,
            "locks": locks,
            "in_transaction": sum(ghost.in_transaction for hit in hits for ghost in hit.case.ghosts or ()),
            "kept_at_least_seconds": kept.least if kept else None,
            "kept_at_most_seconds": kept.most if kept else None,
        },
        rows=[_row(hit) for hit in hits],
    )


def _row(hit: Hit) -> str:
    """`current, silent-drop: 2 sessions stayed, idle`, and what they hold."""
    ghosts = hit.case.ghosts or ()
    states = ", ".join(dict.fromkeys(ghost.state for ghost in ghosts if ghost.state))
    holds = f", {count(_locks(hit), 'lock')}" if _locks(hit) else ""
    return f"{hit.plan.name}, {hit.fault.code}: {count(len(ghosts), 'session')} stayed, {states}{holds}"


def _locks(hit: Hit) -> int:
    return sum(ghost.locks for ghost in hit.case.ghosts or ())


def _command(tried: Tried) -> str | None:
    if tried.target.product is not Product.POSTGRESQL:
        return None
    role = quote_identifier(tried.target.user) if tried.target.user else "<role>"
    idle = min(60, tried.keepalive)
    values = (("idle", idle), ("interval", 10), ("count", 3))
    return "\n".join(f"ALTER ROLE {role} SET tcp_keepalives_{name} = {value};" for name, value in values)
