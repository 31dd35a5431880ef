"""What is asked of PostgreSQL about the sessions of our own trials, and how they are ended; pure."""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_text import decode
from dbdoctor.model.trial import Ghost

# Our own: of this role and under this name, and not the session that asks.
_OURS = "usename = current_user AND pid <> pg_backend_pid() AND left(application_name, {length}) = '{name}'"

_LOOK = """\
SELECT pid, state, xact_start IS NOT NULL,
       (SELECT count(*) FROM pg_locks WHERE pg_locks.pid = shown.pid AND locktype <> 'virtualxid')
FROM pg_stat_activity AS shown
WHERE {ours} AND length(application_name) = {length}
"""

_END = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"


def look_question(application_name: str) -> str:
    """Our own sessions of this name: id, state, whether in a transaction, how many locks."""
    return _LOOK.format(ours=_ours(application_name), length=len(application_name))


def read_look(rows: Sequence[Row]) -> list[Ghost]:
    """The answer to `look_question`."""
    return [Ghost(int(row[0]), decode(row[1]) or "", bool(row[2]), int(row[3])) for row in rows]


def end_question(prefix: str) -> str:
    """End our own sessions whose name begins so: who they are is checked in the statement that ends them."""
    return _END.format(ours=_ours(prefix))


def _ours(name: str) -> str:
    if not name.replace("-", "").isalnum():
        raise ValueError("the name of a trial is of letters, digits and hyphens")
    return _OURS.format(length=len(name), name=name)
