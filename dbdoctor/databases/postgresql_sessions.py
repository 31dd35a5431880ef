"""What is asked about PostgreSQL's sessions at every look, and the small questions that go with it; pure.

    look_question(since)              one row a session, ours included: its last column is the server's clock
    names_question(roles, databases)  the names behind the numbers in those rows, asked for once
    HIDDEN                            what an ordinary role can still know of sessions whose state it is not shown

The answers are read in `postgresql_session_rows`. Measured with 2,000 idle sessions on PostgreSQL 18 (server's CPU, ms):
GROUP BY over the view pg_stat_activity 3.4, all columns of a look 3.9, only what has changed 3.3. The view's own joins to
the names of roles and databases would cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = tuple[Any, ...]
"""A row as the driver gives it: texts are bytes."""

HIDDEN_KIND, CLIENT_KIND, SENDER_KIND = 0, 1, 2
"""The last column but one of a look; NULL says that the session is as it was."""

# Of the function behind the view, columns by name: every version has more of them. The event is only that of an active
# session, because what is not sent need not be read.
_COLUMNS = (
    "usesysid",
    "datid",
    "application_name",
    "client_addr",
    "client_port",
    "state",
    "date_part('epoch', backend_start)",
    "date_part('epoch', state_change)",
    "date_part('epoch', xact_start)",
    "date_part('epoch', query_start)",
    "CASE WHEN state = 'active' THEN wait_event_type END",
    "backend_xid",
    "age(backend_xmin)",
    f"CASE backend_type WHEN 'client backend' THEN {CLIENT_KIND} WHEN 'walsender' THEN {SENDER_KIND} ELSE {HIDDEN_KIND} END",
)
# The age of a snapshot grows while nothing else changes.
_ALWAYS = frozenset({"age(backend_xmin)"})

# A hidden row has neither type nor address, but a user and a database (workers of the server itself have no user); its
# xid and xmin are shown to everybody. The clock is read after all rows are complete, so that no session is younger than
# nothing. OFFSET 0 keeps `same` from being worked out anew for every column.
_LOOK = """\
SELECT pid, {columns}, CASE WHEN pid = pg_backend_pid() THEN date_part('epoch', clock_timestamp()) END
FROM (SELECT *, {same} AS same FROM pg_stat_get_activity(NULL) OFFSET 0) AS shown
WHERE backend_type IN ('client backend', 'walsender')
   OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)
"""

# Everybody sees all of pg_locks: the virtual transaction that a session holds for itself (on the fast path, too) is new
# with every transaction. The other two tell which hidden rows are no sessions of clients.
HIDDEN = """\
SELECT pid, virtualtransaction FROM pg_locks
WHERE locktype = 'virtualxid' AND granted AND mode = 'ExclusiveLock' AND virtualxid = virtualtransaction
UNION ALL SELECT pid, 'sender' FROM pg_stat_get_wal_senders()
UNION ALL SELECT pid, 'applier' FROM pg_stat_get_subscription(NULL)
"""

_NAMES = """\
SELECT 'r', oid, rolname, NULL FROM pg_roles WHERE oid IN ({})
UNION ALL SELECT 'd', oid, datname, pg_encoding_to_char(encoding) FROM pg_database WHERE oid IN ({})
"""


def look_question(since: float | None = None) -> str:
    """Asks for all sessions; for those that rest as they did at `since` (server's clock), only that they are there.

    Whatever a session does changes its state, and the time of that, so one with an older time is as it was then: its
    row has NULL for all but its id and the age of its snapshot. Most sessions of a full server are like that.
    """
    if since is None:
        return _LOOK.format(columns=", ".join(_COLUMNS), same="false")
    columns = (name if name in _ALWAYS else f"CASE WHEN same THEN NULL ELSE {name} END" for name in _COLUMNS)
    return _LOOK.format(
        columns=", ".join(columns), same=f"state_change < to_timestamp({since!r}) AND state <> 'active'"
    )


def names_question(roles: Iterable[int], databases: Iterable[int]) -> str:
    """Asks for the names of these roles and databases by their numbers (oids)."""
    return _NAMES.format(*(", ".join(str(int(oid)) for oid in oids) or "0" for oids in (roles, databases)))
