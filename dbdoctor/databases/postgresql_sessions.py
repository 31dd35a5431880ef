"""PostgreSQL's sessions: the light question of every look, the small ones that go with it, and their answers; pure.

    LOOK                              one row a session, ours included: its last column is the server's clock
    names_question(roles, databases)  the names behind the numbers in those rows, asked for once
    HIDDEN                            what an ordinary role can still know of sessions whose state it is not shown
    SessionReader                     the answers -> sessions

Measured with 2,000 idle sessions on PostgreSQL 18 (server's CPU, ms): GROUP BY over the view pg_stat_activity 3.4, LOOK
3.8. The view's own joins to the names of roles and databases would cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dbdoctor.databases.postgresql_text import decode
from dbdoctor.model.session import (
    ABORTED,
    ACTIVE,
    CLIENT,
    IDLE,
    IDLE_IN_TRANSACTION,
    REPLICATION,
    Session,
)

Row = tuple[Any, ...]
"""A row as the driver gives it: texts are bytes."""

# Columns by name: every version has more of them. A hidden row has neither type nor address, but a user and a database
# (workers of the server itself have no user); its xid and xmin are shown to everybody. The type is a number here, and
# the event only that of an active session, because what is not sent need not be read. The clock is read after all rows
# are complete, so that no session is younger than nothing.
LOOK = """\
SELECT pid, usesysid, datid, application_name, client_addr, client_port, state,
       date_part('epoch', backend_start), date_part('epoch', state_change),
       date_part('epoch', xact_start), date_part('epoch', query_start),
       CASE WHEN state = 'active' THEN wait_event_type END, backend_xid, age(backend_xmin),
       CASE backend_type WHEN 'client backend' THEN NULL WHEN 'walsender' THEN 1 ELSE 0 END,
       CASE WHEN pid = pg_backend_pid() THEN date_part('epoch', clock_timestamp()) END
FROM pg_stat_get_activity(NULL)
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

_WALSENDER, _HIDDEN = 1, 0
_STATES = {
    b"active": ACTIVE,
    b"idle": IDLE,
    b"idle in transaction": IDLE_IN_TRANSACTION,
    b"idle in transaction (aborted)": ABORTED,
    b"fastpath function call": ACTIVE,
    b"starting": ACTIVE,  # 18: it logs in
}
# Texts kept to be used again; applications that put a request's number into their name must not fill the memory.
_MOST_TEXTS = 10_000


class Database(NamedTuple):
    """A database's name, and the encoding its sessions' statements are in."""

    name: str | None
    encoding: str | None


class Look(NamedTuple):
    """The answer to LOOK. `at` is the server's clock; None, and `database` 0, when our own row was not in it."""

    sessions: list[Session]
    at: float | None
    database: int


def names_question(roles: Iterable[int], databases: Iterable[int]) -> str:
    """Asks for the names of these roles and databases by their numbers (oids)."""
    return _NAMES.format(*(", ".join(str(int(oid)) for oid in oids) or "0" for oids in (roles, databases)))


class SessionReader:
    """Reads rows into sessions. It remembers names, texts, and each session as long as its row stays the same.

    Of thousands of sessions most are idle and unchanged from one look to the next: comparing costs a fifth of reading.
    """

    def __init__(self) -> None:
        self.roles: dict[int, str | None] = {}
        self.databases: dict[int, Database] = {}
        self._texts: dict[bytes, str | None] = {}
        self._kept: dict[int, tuple[Row, Session]] = {}

    def unknown(self, rows: Sequence[Row]) -> tuple[set[int], set[int]]:
        """The numbers of roles and databases that were not named yet."""
        roles = {row[1] for row in rows if row[1] is not None}
        databases = {row[2] for row in rows if row[2] is not None}
        return roles - self.roles.keys(), databases - self.databases.keys()

    def learn(self, roles: Iterable[int], databases: Iterable[int], answer: Sequence[Row]) -> None:
        """Take up what `names_question` was answered; what has no name (dropped meanwhile) is not asked for again."""
        self.roles.update(dict.fromkeys(roles))
        self.databases.update(dict.fromkeys(databases, Database(None, None)))
        for what, oid, name, encoding in answer:
            if bytes(what) == b"r":
                self.roles[oid] = decode(name)
            else:
                codec = decode(encoding)
                self.databases[oid] = Database(decode(name, codec), codec)

    def read(self, rows: Sequence[Row]) -> Look:
        """All sessions but our own."""
        at, database = None, 0
        kept, now = self._kept, {}
        for row in rows:
            pid = row[0]
            if row[15] is not None:
                at, database = row[15], row[2] or 0
                continue
            before = kept.get(pid)
            now[pid] = before if before is not None and before[0] == row else (row, self._session(row))
        self._kept = now
        return Look([session for _, session in now.values()], at, database)

    def _session(self, row: Row) -> Session:
        (
            pid,
            user,
            database,
            application,
            client,
            port,
            state,
            started,
            changed,
            began,
            asked,
            waits,
            xid,
            old,
            kind,
            _,
        ) = row
        return Session(
            pid,
            started,
            self.roles.get(user),
            self.databases[database].name if database in self.databases else None,
            self._text(application) or None,
            client or ("local" if port == -1 else None),
            port if port != -1 else None,
            _STATES.get(state),
            changed,
            began,
            asked,
            self._text(waits),
            xid is not None,
            old,
            REPLICATION if kind == _WALSENDER else CLIENT,
            kind == _HIDDEN,
        )

    def _text(self, raw: bytes | None) -> str | None:
        if raw is None:
            return None
        try:
            return self._texts[raw]
        except KeyError:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            return self._texts.setdefault(raw, decode(raw))


def add_hidden(sessions: Iterable[Session], answer: Sequence[Row]) -> list[Session]:
    """The sessions with what HIDDEN was answered: transactions named, replication told, the server's own workers left out."""
    roles: dict[int, str] = {}
    transactions: dict[int, str] = {}
    for pid, raw in answer:
        word = decode(raw) or ""
        (transactions if "/" in word else roles)[pid] = word
    found = []
    for session in sessions:
        if not session.hidden:
            found.append(session)
            continue
        role, transaction = roles.get(session.id), transactions.get(session.id)
        if role == "sender" or (transaction and role is None):
            kind = REPLICATION if role else session.kind
            found.append(session._replace(kind=kind, transaction_key=transaction))
        elif role is None:
            found.append(session)
    return found
