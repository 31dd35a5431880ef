"""The live sessions: their state, their transactions, and the table of them all with those that a test made up."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from tests.servers.tds.clock import Clock
from tests.servers.tds.errors import EndError, KilledError, SqlError
from tests.servers.tds.login import Login
from tests.servers.tds.packets import Channel
from tests.servers.tds.shown import ShownRequest, ShownSession, ShownTransaction

FIRST_USER_SESSION = 51


@dataclass
class Transaction:
    """An open transaction of a live session."""

    number: int
    began: dt.datetime
    name: str = "user_transaction"
    nesting: int = 1
    touched: bool = False
    log_records: int = 0
    log_bytes: int = 0
    first_record: dt.datetime | None = None

    @property
    def descriptor(self) -> bytes:
        """As it goes over the wire."""
        return self.number.to_bytes(8, "little")

    def shown(self) -> ShownTransaction:
        """As the views have it."""
        return ShownTransaction(
            transaction_id=self.number,
            began=self.began,
            name=self.name,
            touched=self.touched,
            log_records=self.log_records,
            log_bytes=self.log_bytes,
            first_record=self.first_record,
        )


@dataclass(frozen=True)
class Wait:
    """What a running request waits for."""

    kind: str
    since: dt.datetime
    blocked_by: int = 0


@dataclass
class Settings:
    """What SET changes."""

    implicit_transactions: bool = False
    no_count: bool = False
    lock_timeout: int = -1
    # 1 read uncommitted, 2 read committed, 3 repeatable read, 4 serializable, 5 snapshot.
    isolation_level: int = 2


@dataclass(eq=False)
class Session:
    """A client that has logged in. Its thread changes it; the views read it."""

    number: int
    login: Login
    channel: Channel
    clock: Clock
    address: str
    port: int
    login_time: dt.datetime
    database: str
    database_id: int
    packet_size: int
    # Its own way into the tables, and whether a transaction is open there.
    store: duckdb.DuckDBPyConnection
    writes: bool = False
    # What that transaction wrote (see store.py).
    journal: list[Any] = field(default_factory=list)
    status: str = "sleeping"
    last_request_start: dt.datetime = field(default_factory=dt.datetime.now)
    last_request_end: dt.datetime | None = None
    last_text: str | None = None
    request: ShownRequest | None = None
    wait: Wait | None = None
    transaction: Transaction | None = None
    settings: Settings = field(default_factory=Settings)
    row_count: int = 0
    last_error: int = 0
    resets: int = 0
    attentions: int = 0
    # Every request's text, in order.
    texts: list[str] = field(default_factory=list)
    # Why it is to end: an exception that its thread raises at the next look.
    ending: Exception | None = None

    @property
    def nesting(self) -> int:
        """@@TRANCOUNT."""
        return self.transaction.nesting if self.transaction else 0

    def end(self, how: str = "fin") -> None:
        """Has the connection end: "fin", "rst", or "kill" as another session's KILL would."""
        self.ending = KilledError() if how == "kill" else EndError(how)
        self.channel.wake()

    def check(self) -> None:
        """Raises what ends the session, in its own thread."""
        if self.ending is not None:
            raise self.ending

    def shown(self) -> ShownSession:
        """As the views have it."""
        transaction = self.transaction
        return ShownSession(
            session_id=self.number,
            login_time=self.login_time,
            last_request_start=self.last_request_start,
            last_request_end=self.last_request_end,
            status=self.status,
            login_name=self.login.user,
            host_name=self.login.host,
            program_name=self.login.program,
            host_process_id=self.login.process_id,
            interface=self.login.interface[:32],
            database_id=self.database_id,
            open_transaction_count=self.nesting,
            isolation_level=self.settings.isolation_level,
            lock_timeout=self.settings.lock_timeout,
            row_count=self.row_count,
            client_address=self.address,
            client_port=self.port,
            encrypted=self.channel.encrypted,
            packet_size=self.packet_size,
            last_text=self.last_text,
            request=self._shown_request(),
            transactions=(transaction.shown(),) if transaction else (),
        )

    def _shown_request(self) -> ShownRequest | None:
        request, wait = self.request, self.wait
        if request is None or wait is None:
            return request
        waited = (self.clock.local() - wait.since).total_seconds()
        return replace(
            request,
            status="suspended",
            wait_type=wait.kind,
            wait_milliseconds=max(0, int(waited * 1000)),
            blocked_by=wait.blocked_by,
        )


class Sessions:
    """All sessions, live and made up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._live: dict[int, Session] = {}
        self._made_up: dict[int, ShownSession] = {}
        self._transactions = itertools.count(1000)
        # Numbers of made-up sessions that were killed.
        self.killed: list[int] = []

    def free_number(self) -> int:
        """The lowest number that nobody has, as SQL Server gives them out again."""
        with self._lock:
            return next(n for n in itertools.count(FIRST_USER_SESSION) if n not in self._live | self._made_up)

    def add(self, make: Callable[[int], Session]) -> Session:
        """A new live session under a free number."""
        with self._lock:
            session = make(self.free_number())
            self._live[session.number] = session
            self._changed.notify_all()
            return session

    def remove(self, session: Session) -> None:
        """A live session has ended."""
        with self._lock:
            self._live.pop(session.number, None)
            self._changed.notify_all()

    def live(self) -> list[Session]:
        """The live ones, by number."""
        with self._lock:
            return [self._live[number] for number in sorted(self._live)]

    def put(self, session: ShownSession) -> ShownSession:
        """A made-up session, or another state of one."""
        with self._lock:
            self._made_up[session.session_id] = session
            return session

    def take_out(self, number: int) -> None:
        """A made-up session is no more."""
        with self._lock:
            self._made_up.pop(number, None)

    def clear_made_up(self) -> None:
        """No made-up session is left."""
        with self._lock:
            self._made_up.clear()

    def all_shown(self) -> list[ShownSession]:
        """Every session as the views have it, by number."""
        with self._lock:
            shown = {number: session.shown() for number, session in self._live.items()} | self._made_up
            return [shown[number] for number in sorted(shown)]

    def wait_for(self, count: int, patience: float = 10.0) -> list[Session]:
        """The live sessions as soon as there are exactly `count`; AssertionError when there never are."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self._live) == count, patience)
            assert there, f"there are {len(self._live)} sessions, not {count}, after {patience} s"
            return self.live()

    def begin(self, session: Session, name: str = "user_transaction") -> Transaction:
        """Opens a transaction."""
        with self._lock:
            session.transaction = Transaction(next(self._transactions), self._clock.local(), name)
            return session.transaction

    def kill(self, number: int, by: Session) -> None:
        """KILL; SqlError as SQL Server has them."""
        with self._lock:
            if by.transaction is not None:
                raise SqlError(6115)
            if number == by.number:
                raise SqlError(6104)
            if number <= 0 or number > 32767:
                raise SqlError(6101, number)
            if number in self._live:
                self._live[number].end("kill")
            elif (made_up := self._made_up.get(number)) is not None:
                if not made_up.is_user_process:
                    raise SqlError(6107)
                del self._made_up[number]
                self.killed.append(number)
            else:
                raise SqlError(6106, number)
