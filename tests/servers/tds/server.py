"""The server itself: it listens, admits, and keeps the sessions; a thread for each client, all gone at its end."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tests.servers.certificates import Pair, certificates
from tests.servers.tds.catalog import Catalog
from tests.servers.tds.clock import Clock
from tests.servers.tds.controls import Controls
from tests.servers.tds.conversation import Conversation
from tests.servers.tds.engine import Engine
from tests.servers.tds.errors import SqlError
from tests.servers.tds.login import Login
from tests.servers.tds.packets import Channel
from tests.servers.tds.profiles import EVERY_RIGHT, PROFILES, Profile
from tests.servers.tds.rows import Facts, Row
from tests.servers.tds.sessions import Session, Sessions
from tests.servers.tds.shown import ShownSession, ShownTransaction
from tests.servers.tds.store import Store
from tests.servers.tds.tls import server_context, strict_context

USER = "sa"
# So that whatever forgets to quote it fails; without }, which FreeTDS cannot read in braces.
PASSWORD = "P@ss/w0rd; it's {1"
DATABASE = "shop"
PATIENCE = 60.0


@dataclass(frozen=True)
class Account:
    """Who may log in, and what they may do then."""

    password: str = PASSWORD
    rights: frozenset[str] = EVERY_RIGHT


ACCOUNTS = {USER: Account(), "reader": Account(rights=frozenset())}


class TdsServer:
    """A server for SQL Server's drivers, on a loopback port of its own. It is not SQL Server.

    `profile`: a name of PROFILES, or a Profile. `tls`: its certificate (a good one unless told). `encryption`: "off" as
    the client likes, "on" the same but it would rather, "required", "not-supported". `accounts`: by login name; unless
    told `sa` who may do all and `reader` who may do nothing, both with PASSWORD. `offset` and `skew` are its clock's.
    `max_sessions`: the next login is refused with 17809, in Azure 10928.
    """

    def __init__(
        self,
        profile: str | Profile = "2022",
        *,
        tls: Pair | None = None,
        encryption: str = "off",
        accounts: Mapping[str, Account] | None = None,
        databases: Sequence[str] = ("master", "tempdb", "model", "msdb", DATABASE),
        server_name: str = "TESTS",
        host: str = "127.0.0.1",
        port: int = 0,
        offset: dt.timedelta = dt.timedelta(0),
        skew: dt.timedelta = dt.timedelta(0),
        max_sessions: int | None = None,
    ) -> None:
        profile = PROFILES[profile] if isinstance(profile, str) else profile
        clock = Clock(offset, skew)
        self.encryption = encryption
        pair = tls or certificates().server
        self.context, self.strict_context = server_context(pair), strict_context(pair)
        self.accounts = dict(accounts or ACCOUNTS)
        self.max_sessions = max_sessions
        self.controls = Controls()
        self.sessions = Sessions(clock)
        started = clock.local() - dt.timedelta(days=3)
        self.facts = Facts(profile, clock, started, server_name, list(databases))
        store = Store()
        self.facts.tables = store.tables
        self.engine = Engine(self.facts, self.sessions, Catalog(profile), store, self._rights)
        # Every LOGIN7 that came, the refused too; TLS versions agreed on; why conversations ended by themselves.
        self.logins: list[Login] = []
        self.tls_versions: list[str] = []
        # What the clients of TDS 8 asked for by ALPN and got; None where it was nothing.
        self.tls_protocols: list[str | None] = []
        self.ends: list[str] = []
        self.errors: list[Exception] = []
        self.accepted = 0
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host = host
        self.port = self.facts.local_port = int(self._listener.getsockname()[1])
        self._channels: dict[Channel, threading.Thread] = {}
        self._lock = threading.Lock()
        self._over = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def clock(self) -> Clock:
        """Its clock; `server.clock.offset = ...` changes its time zone."""
        return self.facts.clock

    @property
    def profile(self) -> Profile:
        """Which server it pretends to be."""
        return self.facts.profile

    def start(self) -> Self:
        """Begins to accept."""
        self._accepting.start()
        return self

    def stop(self) -> None:
        """Ends every conversation and waits for the threads; raises what went wrong in one of them."""
        with self._lock:
            self._over = True
            channels = dict(self._channels)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for channel in channels:
            channel.cut()
        for thread in (self._accepting, *channels.values()):
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a conversation did not end"
        self.engine.catalog.close()
        self.engine.store.close()
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- for the tests

    def url(self, driver: str = "microsoft", **keywords: object) -> str:
        """A SQLAlchemy URL with `odbc_connect`; arguments as of `dsn`."""
        return f"mssql+pyodbc:///?odbc_connect={urllib.parse.quote_plus(self.dsn(driver, **keywords))}"

    def dsn(self, driver: str = "microsoft", **keywords: object) -> str:
        """An ODBC connection string for "microsoft" or "freetds"; `keywords` overrule, None removes."""
        from tests.servers.odbc import connection_string

        return connection_string(driver, self.port, **{"Database": DATABASE, **keywords})

    def inject(self, session_id: int | None = None, *, idle: float = 0.0, age: float = 60.0, **fields: object) -> int:
        """A made-up session in the views; its number. `fields` are ShownSession's.

        `idle` and `age` are the seconds since its last request and since its login; given a time itself, that counts.
        The same number again replaces the session. `transaction(...)` helps with its transactions.
        """
        now = self.clock.local()
        asked = now - dt.timedelta(seconds=idle)
        times = {
            "login_time": now - dt.timedelta(seconds=max(age, idle)),
            "last_request_start": asked,
            "last_request_end": asked,
        }
        number = self.sessions.free_number() if session_id is None else session_id
        values = {"session_id": number, "database_id": len(self.facts.databases), **times, **fields}
        return self.sessions.put(ShownSession(**values)).session_id  # type: ignore[arg-type]

    def transaction(self, *, age: float = 0.0, log_records: int = 0, **fields: object) -> ShownTransaction:
        """A made-up transaction that began `age` seconds ago; with log records it is one that changed something."""
        began = self.clock.local() - dt.timedelta(seconds=age)
        number = 900_000 + len(self.sessions.all_shown()) * 10 + log_records % 10
        first = began if log_records else None
        values = {"transaction_id": number, "began": began, "log_records": log_records, "first_record": first, **fields}
        values.setdefault("log_bytes", 120 * log_records)
        return ShownTransaction(**values)  # type: ignore[arg-type]

    def add_rows(self, view: str, *rows: Row) -> None:
        """Rows by hand, as the view has them beside its own."""
        self.facts.more.setdefault(view, []).extend(rows)

    # --- for the conversations

    def admit(self, login: Login) -> tuple[str, int]:
        """The database that a login comes into, and its id; SqlError as SQL Server would refuse it."""
        account = self.accounts.get(login.user)
        if account is None or account.password != login.password:
            raise SqlError(18456, login.user)
        name = login.database or "master"
        number = self.facts.database_id(name)
        if number is None:
            raise SqlError(4060, name, also=(SqlError(18456, login.user),))
        if self.max_sessions is not None and len(self.sessions.live()) >= self.max_sessions:
            if self.profile.is_database:
                raise SqlError(10928, 2, self.max_sessions)
            raise SqlError(17809, self.max_sessions)
        return self.facts.databases[number - 1], number

    def leave(self, session: Session) -> None:
        """A session has ended."""
        self.engine.leave(session)
        session.store.close()
        self.sessions.remove(session)

    def _rights(self, user: str) -> frozenset[str]:
        account = self.accounts.get(user)
        return account.rights if account else frozenset()

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = Channel(connection)
            conversation = Conversation(self, channel, (address[0], address[1]))
            thread = threading.Thread(target=self._converse, args=(conversation,), daemon=True)
            with self._lock:
                self.accepted += 1
                if self._over:
                    channel.close()
                    return
                self._channels[channel] = thread
            thread.start()

    def _converse(self, conversation: Conversation) -> None:
        try:
            conversation.run()
        except Exception as error:
            self.errors.append(error)
        finally:
            # Whoever waits for the session's end finds the connection closed.
            conversation.channel.close(conversation.closing)
            if conversation.session is not None:
                self.leave(conversation.session)
            with self._lock:
                self._channels.pop(conversation.channel, None)
