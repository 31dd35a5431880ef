"""What is asked of the few PostgreSQL sessions whose life needs an explanation: statement, locks, who blocks whom; pure.

The cut of the statement is made on its bytes: functions that count letters fail on a text of another encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbdoctor.databases.postgresql_session_rows import Database
from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_text import decode, one_line
from dbdoctor.databases.statement_secrets import without_passwords
from dbdoctor.model.secret import redact
from dbdoctor.model.session import Detail, Session, Waiter

MOST_DETAILS = 200
"""So many sessions are asked about in one call, at most."""
MOST_WAITERS = 50
"""So many waiters: `pg_blocking_pids` stops all other users of locks for as long as it looks."""

_STATEMENT = 1000
# A letter has at most four bytes in every encoding that a server can have.
_STATEMENT_BYTES = 4 * _STATEMENT
# In the order of the lock manager (lockdefs.h): the later conflicts with more.
_MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
# What stands in place of a statement that is not shown (pgstatfuncs.c).
_NO_STATEMENT = frozenset(
    {"<insufficient privilege>", "<command string not enabled>", "<backend information not available>"}
)

# textsend gives the bytes of a text, since the prelude asks for no conversion. pg_class is read, not asked to turn
# numbers into names: a cast would fail on a table that has just been dropped. Of several tables with the strongest lock
# one of the user's is named, and rather a table than its index.
_DETAILS = """\
WITH held AS MATERIALIZED (
  SELECT pid, locktype, relation, database, array_position(ARRAY[{modes}], mode) AS strength
  FROM pg_locks
  WHERE granted AND pid = ANY(ARRAY[{pids}]) AND locktype IN ('relation', 'advisory') AND mode <> 'SIReadLock'
), counted AS (
  SELECT pid, count(*) FILTER (WHERE locktype = 'relation') AS locks,
         max(strength) FILTER (WHERE locktype = 'relation') AS strongest,
         count(*) FILTER (WHERE locktype = 'advisory') AS advisory
  FROM held GROUP BY pid
), named AS (
  SELECT DISTINCT ON (held.pid) held.pid, nspname, relname
  FROM held JOIN counted ON counted.pid = held.pid AND strength = strongest
  JOIN pg_class ON pg_class.oid = held.relation
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE locktype = 'relation' AND database IN (0, {database})
  ORDER BY held.pid, relkind IN ('i', 'I', 't'), held.relation < 16384, held.relation
)
SELECT shown.pid, date_part('epoch', backend_start), date_part('epoch', state_change), datid,
       encode(substr(textsend(query), 1, {bytes}), 'hex'),
       coalesce(locks, 0), strongest, coalesce(advisory, 0), nspname, relname
FROM unnest(ARRAY[{pids}]) AS wanted(pid)
CROSS JOIN LATERAL pg_stat_get_activity(wanted.pid) AS shown
LEFT JOIN counted ON counted.pid = shown.pid
LEFT JOIN named ON named.pid = shown.pid
"""

# The longest waits first; pg_blocking_pids only of those that are given out.
_WAITERS = """\
SELECT pid, since, pg_blocking_pids(pid)
FROM (
  SELECT pid, {since} AS since FROM pg_locks
  WHERE NOT granted AND pid <> pg_backend_pid() {whose}
  GROUP BY pid ORDER BY 2, pid LIMIT {most}
) AS waiting
"""


def details_question(ids: Sequence[int], database: int) -> str:
    """Asks for the details of these sessions (one at least); `database` is the number of ours, whose tables have names."""
    return _DETAILS.format(
        pids=", ".join(str(int(one)) for one in ids[:MOST_DETAILS]),
        modes=", ".join(f"'{mode}'" for mode in _MODES),
        database=int(database),
        bytes=_STATEMENT_BYTES,
    )


def read_details(
    answer: Sequence[Row], sessions: Mapping[int, Session], databases: Mapping[int, Database]
) -> dict[int, Detail]:
    """By session id. A session that has changed its state since the snapshot, or is another one now, is left out."""
    found = {}
    for pid, started, changed, datid, statement, locks, strongest, advisory, schema, table in answer:
        session = sessions.get(pid)
        if session is None or (session.started_at, session.changed_at) != (started, changed):
            continue
        encoding = databases[datid].encoding if datid in databases else None
        locked = ".".join(decode(part, None) or "" for part in (schema, table)) if table is not None else None
        found[pid] = Detail(
            changed_at=changed,
            # With the state hidden, or not told at all (track_activities), the text is hidden or empty, too.
            statement=None if session.state is None else _statement(statement, encoding),
            locks=locks,
            strongest_lock=_MODES[strongest - 1] if strongest else None,
            locked=one_line(locked, 200) if locked else None,
            advisory_locks=advisory,
        )
    return found


def waiters_question(ids: Sequence[int] | None, *, has_waitstart: bool) -> str:
    """Asks who blocks these sessions, or (None) everybody who waits; `has_waitstart`: PostgreSQL 14 and later."""
    whose = "" if ids is None else f"AND pid IN ({', '.join(str(int(one)) for one in ids)})"
    since = "date_part('epoch', min(waitstart))" if has_waitstart else "NULL::float8"
    return _WAITERS.format(since=since, whose=whose, most=MOST_WAITERS)


def read_waiters(answer: Sequence[Row], sessions: Mapping[int, Session]) -> tuple[Waiter, ...]:
    """Who waits, and for whom; one that got its lock meanwhile is left out. 0 blocks as a prepared transaction does."""
    return tuple(
        Waiter(pid, since if since is not None else _asked_at(sessions.get(pid)), tuple(dict.fromkeys(blocked_by)))
        for pid, since, blocked_by in answer
        if blocked_by
    )


def _asked_at(session: Session | None) -> float | None:
    return session.statement_at if session else None


def _statement(raw: bytes | None, encoding: str | None) -> str | None:
    text = decode(bytes.fromhex(raw.decode("ascii")), encoding) if raw is not None else None
    return None if text is None or text in _NO_STATEMENT else redact(one_line(without_passwords(text), _STATEMENT))
