"""The answers to the questions of `postgresql_sessions`, read into sessions; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dbdoctor.databases.postgresql_sessions import HIDDEN_KIND, SENDER_KIND, Row
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


class Counts(NamedTuple):
    """How many sessions are of clients (and take a slot), are hidden from us, and do not tell their state although shown."""

    clients: int
    hidden: int
    silent: int


def count(sessions: Sequence[Session]) -> Counts:
    """Counts the sessions, by position: names would cost three times as much."""
    hidden = [session[15] for session in sessions].count(True)
    silent = [session[7] for session in sessions].count(None) - hidden
    return Counts([session[14] for session in sessions].count(CLIENT), hidden, silent)


def own_row(rows: Iterable[Row]) -> Row | None:
    """Ours: its last column is the server's clock."""
    return next((row for row in rows if row[15] is not None), None)


class SessionReader:
    """Reads rows into sessions. It remembers names, texts, and each session as long as it stays the same.

    Of thousands of sessions most are idle and unchanged from one look to the next: comparing costs a fifth of reading.
    """

    def __init__(self) -> None:
        self.roles: dict[int, str | None] = {}
        self.databases: dict[int, Database] = {}
        self._texts: dict[bytes, str | None] = {}
        self._kept: dict[int, tuple[Row, Session]] = {}

    def unknown(self, rows: Sequence[Row]) -> tuple[set[int], set[int]]:
        """The numbers of roles and databases in these rows that were not named yet."""
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

    def read(self, rows: Sequence[Row]) -> list[Session] | None:
        """All sessions but our own; None when one is said to be as it was that had not been seen, or had been hidden."""
        kept = self._kept
        now: dict[int, tuple[Row, Session]] = {}
        for row in rows:
            pid = row[0]
            before = kept.get(pid)
            if row[14] is None:
                if before is None or before[1].hidden:
                    return None
                if before[1].holds_back != row[13]:
                    before = ((), before[1]._replace(holds_back=row[13]))
                now[pid] = before
            elif row[15] is None:
                now[pid] = before if before is not None and before[0] == row else (row, self._session(row))
        self._kept = now
        return [session for _, session in now.values()]

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
            REPLICATION if kind == SENDER_KIND else CLIENT,
            kind == HIDDEN_KIND,
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
