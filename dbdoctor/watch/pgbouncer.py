"""The clients behind PgBouncer's server sessions, as its admin console tells them (SHOW SERVERS, SHOW CLIENTS).

The console is a database of PgBouncer's own, `pgbouncer`, on the same port; admin_users and stats_users may ask it. A server
session is linked to a client while it is lent to one: for as long as a transaction is open in transaction mode.
Columns by name, since versions differ (PgBouncer 1.5 to 1.25, https://www.pgbouncer.org/usage.html).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dbdoctor.model.secret import redact
from dbdoctor.model.server import Missing, Pooler
from dbdoctor.model.session import PooledClient, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Target
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import resolve_all

# The console answers from memory; who needs longer than this (seconds) is not asked again.
_LOGIN_TIMEOUT, _ANSWER_TIMEOUT = 2.0, 1.0
# Between two readings lies this (seconds) at least, and so many times what one took: it lists every client.
_LEAST_GAP, _GAP_PER_COST = 0.9, 25.0
# A session that has been in its state for less (seconds) can be lent to somebody else by the time the console answers.
_SETTLED = 0.5
_WHAT = "the clients behind PgBouncer's server sessions"

Row = Mapping[str, Any]


class PgBouncerConsole:
    """Fills `Snapshot.pooled_clients`; never fails. Asked once: who is refused is not asked again, to spare its log.

    Use it only where a pooler is known to stand between (`has_console`). `close` logs out.
    """

    def __init__(self, target: Target) -> None:
        self._target = replace(target, database="pgbouncer")
        self._session: login.LoggedIn | None = None
        self._missing: Missing | None = None
        self._not_before = -1e9
        self._clients: dict[tuple[int, float | None, float | None], PooledClient] = {}

    def enrich(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, with the clients of those of its sessions that are lent to one."""
        settled = [session for session in snapshot.sessions if _is_settled(session, snapshot.at)]
        if self._missing is None and settled and time.monotonic() >= self._not_before:
            self._read(settled)
        if self._missing is not None:
            return snapshot._replace(missing=(*snapshot.missing, self._missing))
        known = {session.id: self._clients.get(_key(session)) for session in settled}
        return snapshot._replace(pooled_clients={id_: client for id_, client in known.items() if client is not None})

    def close(self) -> None:
        """Log out; never raises."""
        session, self._session = self._session, None
        if session is not None:
            login.log_out(session)

    def _read(self, sessions: Iterable[Session]) -> None:
        began = time.monotonic()
        try:
            servers, clients = self._ask()
        except (login.LoginFailedError, login.QueryFailedError, OSError) as error:
            self._give_up(str(error))
        except DeadlinePassedError:
            self._give_up("no answer in time")
        else:
            found = link(sessions, servers, clients)
            self._clients = {_key(one): found[one.id] for one in sessions if one.id in found}
            self._not_before = began + max(_LEAST_GAP, _GAP_PER_COST * (time.monotonic() - began))

    def _ask(self) -> tuple[list[Row], list[Row]]:
        """Server sessions, and clients if any has one. After a restart of PgBouncer it logs in once more."""
        was_logged_in = self._session is not None
        try:
            servers = self._show("SERVERS")
        except login.QueryFailedError:
            self.close()
            if not was_logged_in:
                raise
            servers = self._show("SERVERS")
        return servers, self._show("CLIENTS") if any(row.get("link") for row in servers) else []

    def _show(self, what: str) -> list[Row]:
        if self._session is None:
            deadline = Deadline.after(_LOGIN_TIMEOUT)
            addresses = resolve_all(self._target.endpoints, deadline)[0].addresses
            self._session = login.log_in(self._target, addresses, deadline)
        names, rows = login.run_table(self._session, f"SHOW {what}", Deadline.after(_ANSWER_TIMEOUT))
        return [dict(zip(names, map(_text, row), strict=True)) for row in rows]

    def _give_up(self, why: str) -> None:
        self.close()
        self._clients = {}
        words = redact(why.strip().partition("\n")[0])
        user = self._target.user or "this user"
        self._missing = Missing(
            _WHAT,
            f"the admin console does not let us ask: {words}",
            f"in pgbouncer.ini: stats_users = {user}; then RELOAD",
        )


def has_console(pooler: Pooler, target: Target) -> bool:
    """Whether it makes sense to look for the console: this pooler is not known to be another one, and it is one."""
    return pooler.name in {"a connection pooler", "PgBouncer"} and len(target.endpoints) == 1


def link(sessions: Iterable[Session], servers: Iterable[Row], clients: Iterable[Row]) -> dict[int, PooledClient]:
    """Each session's client, by the session's id; pure. A session in any doubt is left out.

    SHOW SERVERS names the backend's process id and the port that it was connected from. Where PgBouncer has several
    servers, ids can be equal, and the port must fit, too.
    """
    rows = list(servers)
    by_pid: dict[str, list[Row]] = {}
    for row in rows:
        by_pid.setdefault(str(row.get("remote_pid")), []).append(row)
    one_server = len({(row.get("addr"), row.get("port")) for row in rows}) == 1
    by_place = {row.get("ptr"): row for row in clients}
    found: dict[int, PooledClient] = {}
    for session in sessions:
        fitting = [
            row
            for row in by_pid.get(str(session.id), ())
            if str(row.get("local_port")) == str(session.client_port) or (one_server and _no_port(session, row))
        ]
        client = by_place.get(fitting[0].get("link")) if len(fitting) == 1 else None
        if client is not None and client.get("link") == fitting[0].get("ptr"):
            found[session.id] = _pooled_client(client)
    return found


def _no_port(session: Session, row: Row) -> bool:
    """A unix socket has none; PgBouncer then shows its own listening port."""
    return session.client == "local" or row.get("addr") in {"unix", None}


def _pooled_client(row: Row) -> PooledClient:
    address = row.get("addr") or None
    port = str(row.get("port"))
    is_socket = address is not None and address.startswith("unix")
    return PooledClient(
        address="local" if is_socket else address,
        port=int(port) if port.isdecimal() and not is_socket else None,
        application=row.get("application_name") or None,
        user=row.get("user") or None,
        database=row.get("database") or None,
        state=row.get("state") or None,
        connected_at=row.get("connect_time") or None,
    )


def _is_settled(session: Session, now: float) -> bool:
    since = session.transaction_at or session.changed_at
    return session.state is not None and since is not None and now - since >= _SETTLED


def _key(session: Session) -> tuple[int, float | None, float | None]:
    return session.id, session.started_at, session.transaction_at or session.changed_at


def _text(value: object) -> str | None:
    """Columns of text come as bytes, in whatever encoding a client wrote its name."""
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
