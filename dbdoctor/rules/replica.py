"""This standby is behind its primary, or no longer hears from it

What it means
    `replica-lag`: the standby has received changes that it has not replayed yet, the last one it replayed is that old.
    `replica-not-streaming`: no WAL receiver runs, so the standby gets nothing (or only whole files from an archive);
    how far it is behind cannot be known here.

Why it matters
    The application reads old rows: a user saves and does not see it, a job reads what was already corrected. After a
    failover to this standby everything not yet replayed or received costs time or is lost.

What to do
    On the standby, see whether replay waits for a long query, and whether the stream is there:

        SELECT status, latest_end_time FROM pg_stat_wal_receiver;
        SELECT pid, now() - xact_start AS age, query FROM pg_stat_activity
        WHERE backend_type = 'client backend' ORDER BY age DESC NULLS LAST;

    On the primary, see whether it still sends:

        SELECT application_name, state, replay_lag FROM pg_stat_replication;
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.remedies import remedy
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._common import threshold_of

CODES = ("replica-lag", "replica-not-streaming")


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """How far a standby is behind; primaries have nothing to say."""
    if not facts.is_standby:
        return
    replica = facts.extra.get("replica")
    if replica and not replica["receiving"] and facts.product == "PostgreSQL":
        yield _not_streaming(facts, replica["replayed"])
    elif facts.replica_lag is None:
        yield Skipped("replica-lag", f"{facts.product} does not say how far this standby is behind")
    elif facts.replica_lag > threshold_of(target, "replica_lag_warning"):
        yield Finding(
            code="replica-lag",
            severity=Severity.WARNING,
            title=f"this standby is {format_duration(facts.replica_lag)} behind",
            why="what the application reads here is that old, and a failover has to replay it first",
            fix="see what holds up replay: a long query on the standby, or more changes than it can replay",
            command=remedy(target.product, "what-holds-up-replay"),
            evidence={"replica_lag_seconds": facts.replica_lag},
        )


def _not_streaming(facts: ServerFacts, replayed: float | None) -> Finding:
    age = facts.server_time - replayed if replayed is not None and facts.server_time is not None else None
    last = f", and the last change it replayed is {format_duration(age)} old" if age is not None else ""
    return Finding(
        code="replica-not-streaming",
        severity=Severity.WARNING,
        title="this standby does not hear from its primary",
        why=f"no WAL receiver runs{last}; what the application reads here may be older still",
        fix="see the standby's log for why it cannot connect, and primary_conninfo for where to",
        command="SHOW primary_conninfo;  -- as a superuser, on the standby",
        evidence={"last_replayed_seconds_ago": age},
    )
