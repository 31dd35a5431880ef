"""The rows of a look, read into sessions: states by the shared words, times as Unix seconds; pure.

Drivers with autocommit off begin the next transaction as soon as one ends, so that `open_transaction_count` is 1 in every
connection that rests in a pool. Such a transaction has done nothing, and its session is idle. It is a real one as soon as

    it has log records, or blocks somebody, or was begun by a statement (`implicit_transaction`), or
    a request started after it had begun: an empty one begins within the last request, the COMMIT or ROLLBACK before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dbdoctor.databases.sqlserver_facts import offset_of
from dbdoctor.databases.sqlserver_sessions import Columns
from dbdoctor.databases.sqlserver_text import EPOCH, Row, number
from dbdoctor.model.session import ACTIVE, IDLE, IDLE_IN_TRANSACTION, Session, Waiter

_AT_WORK = frozenset({"running", "preconnect", "background", "suspended", "runnable", "rollback"})
_LOCAL = frozenset({"<local machine>", "local machine", "<named pipe>"})
# An hour set back leaves times behind that have not come yet, seconds.
_AHEAD, _HOUR = 60.0, 3600.0


class Clock(NamedTuple):
    """The server's time (Unix seconds) and how far its local time is ahead of UTC (milliseconds)."""

    now: float
    offset: int = 0


class Known(NamedTuple):
    """A session as it was last seen. `since` is when its open transaction can first have done something.

    `moments` are its times that were read, by the server's local milliseconds: what was written before a change of
    daylight saving keeps the meaning that it had then.
    """

    row: Row
    session: Session
    moments: Mapping[int, float]
    since: float | None = None
    blocks: bool = False


class SessionReader:
    """Reads looks one after the other. It remembers each session as long as it stays the same, and who waits."""

    def __init__(self) -> None:
        self.known: dict[int, Known] = {}
        self.waiters: tuple[Waiter, ...] = ()
        self._sees_transactions = True
        # Transactions in which only the driver itself asked something: (id, began, last request), see `explains`.
        self._drivers_own: set[tuple[int, int | None, int | None]] = set()

    def read(
        self, rows: Sequence[Row], own: int | None, fallback: float, *, sees_transactions: bool = True
    ) -> tuple[Clock, list[Session]]:
        """The server's clock, and all sessions but ours; `fallback` is the time when the server does not tell it.

        Unless it `sees_transactions`, nothing is known of an open one but that it is open.
        """
        self._sees_transactions = sees_transactions
        clock = _clock(rows, fallback)
        blocked = _blocked(rows)
        blockers = set(blocked.values())
        known: dict[int, Known] = {}
        for row in rows:
            if row[20] is not None or row[0] == own:
                continue
            before = self.known.get(row[0])
            blocks = row[0] in blockers
            if before is not None and before.row == row and before.blocks == blocks:
                known[row[0]] = before
                continue
            known[row[0]] = self._read(Columns(*row), row, before, clock, blocks=blocks)
        self.known = known
        self._drivers_own &= {_asked(Columns(*one.row)) for one in known.values()} if self._drivers_own else set()
        self.waiters = tuple(
            _waiter(Columns(*known[one].row), clock, by) for one, by in blocked.items() if one in known
        )
        return clock, [one.session for one in known.values()]

    def drivers_own(self, number: int) -> Session | None:
        """Note that the open transaction of this session is the driver's own: the session as it is to be seen then."""
        before = self.known.get(number)
        if before is None or before.blocks or before.session.state != IDLE_IN_TRANSACTION:
            return None
        row = Columns(*before.row)
        if row.log_records or row.implicit:
            return None
        self._drivers_own.add(_asked(row))
        session = before.session._replace(state=IDLE, transaction_at=None)
        self.known[number] = before._replace(session=session, since=None)
        return session

    def _read(self, row: Columns, raw: Row, before: Known | None, clock: Clock, *, blocks: bool) -> Known:
        moments = _moments(row, before.moments if before else {}, clock)
        at = {name: moments[value] for name, value in _times(row) if value is not None}
        works = row.request_at is not None or (row.status or "").lower() in _AT_WORK
        since = self._since(row, before, at, blocks=blocks)
        if works:
            changed = at.get("request_at") or at.get("start_at") or at.get("login_at")
        else:
            changed = at.get("end_at") or at.get("login_at")
        used = works or "end_at" in at
        session = Session(
            id=row.id,
            started_at=at.get("login_at"),
            user=row.login or None,
            database=row.database or None,
            application=row.program or None,
            client=_client(row),
            client_port=row.port,
            state=ACTIVE if works else IDLE_IN_TRANSACTION if since is not None else IDLE,
            changed_at=changed,
            transaction_at=since,
            statement_at=at.get("start_at") if used else None,
            waits_for=_waits_for(row) if works else None,
            writes=bool(row.log_records),
            holds_back=None,
            process=row.process or None,
            native_state=row.status or None,
            unsure=not (self._sees_transactions or works) and since is None and bool(row.transactions),
        )
        return Known(raw, session, moments, since, blocks)

    def _since(self, row: Columns, before: Known | None, at: Mapping[str, float], *, blocks: bool) -> float | None:
        """Since when its open transaction can have held something; None for one that holds nothing."""
        if _asked(row) in self._drivers_own and not blocks:
            return None
        if before is not None and before.since is not None and before.row[17] == row.began_at is not None:
            return before.since  # what it once held it holds to its end
        return _since(row, at) if _is_real(row, blocks=blocks) else None


def _is_real(row: Columns, *, blocks: bool) -> bool:
    """Whether its open transaction holds anything, as far as can be told from here."""
    if row.began_at is None:
        return blocks and bool(row.transactions)
    if row.log_records or row.implicit or blocks:
        return True
    return row.start_at is not None and row.start_at > row.began_at


def _since(row: Columns, at: Mapping[str, float]) -> float | None:
    """Since when it can have held something: a transaction may have rested empty for hours before its first request."""
    began, started = at.get("began_at"), at.get("start_at")
    if began is None or row.implicit or started is None:
        return began or started or at.get("login_at")
    return max(began, started)


def _asked(row: Columns) -> tuple[int, int | None, int | None]:
    return (row.id, row.began_at, row.start_at)


def _clock(rows: Iterable[Row], fallback: float) -> Clock:
    for row in rows:
        if row[20] is not None and row[21] is not None:
            return Clock(EPOCH + row[20] / 1000, offset_of(row[20], row[21]))
    return Clock(fallback)


def _times(row: Columns) -> tuple[tuple[str, int | None], ...]:
    names = ("login_at", "start_at", "end_at", "request_at", "began_at")
    return tuple((name, getattr(row, name)) for name in names)


def _moments(row: Columns, before: Mapping[int, float], clock: Clock) -> dict[int, float]:
    found = {}
    for _, value in _times(row):
        if value is not None:
            found[value] = before[value] if value in before else unix(value, clock)
    return found


def unix(local: int, clock: Clock) -> float:
    """The server's local milliseconds since 2000 as Unix seconds."""
    moment = EPOCH + (local - clock.offset) / 1000
    return moment if moment <= clock.now + _AHEAD else min(moment - _HOUR, clock.now)


def _client(row: Columns) -> str | None:
    address = row.address or None
    if address is None:
        return row.host or None
    return "local" if address.lower() in _LOCAL else address


def _waits_for(row: Columns) -> str | None:
    if (row.wait_type or "").upper().startswith("LCK_"):
        return "Lock"
    return row.wait_type or None


def _blocked(rows: Iterable[Row]) -> dict[int, int]:
    """Who is blocked by which session. Negative ids are no sessions: orphaned transactions, latches of nobody."""
    found = {}
    for row in rows:
        blocker = number(row[16])
        if blocker is not None and blocker > 0 and blocker != row[0]:
            found[row[0]] = blocker
    return found


def _waiter(row: Columns, clock: Clock, blocker: int) -> Waiter:
    waited = number(row.wait_time)
    return Waiter(row.id, None if waited is None else clock.now - waited / 1000, (blocker,))
