"""Ending a session of SQL Server: identity and kind are checked in the batch that ends it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dbdoctor.databases.sqlserver_text import EPOCH, Row, milliseconds
from dbdoctor.model.session import Identity

# A login time counts in 1/300 s; no id is given out again so soon.
_TOLERANCE = 10

# KILL takes no variable. It is refused inside a transaction, and ours has none.
_END = """\
SET NOCOUNT ON;
DECLARE @same INT;
SELECT @same = CASE WHEN ABS({login} - {started}) <= {tolerance} THEN 1 ELSE 0 END
FROM sys.dm_exec_sessions AS s
WHERE s.session_id = {id} AND s.is_user_process = 1 AND s.session_id <> @@SPID;
IF @same = 1
  EXEC ('KILL {id}');
SELECT @same AS same;"""
_ALIVE = """\
SELECT s.session_id, {login}, r.command, r.percent_complete
FROM sys.dm_exec_sessions AS s
LEFT JOIN sys.dm_exec_requests AS r
  ON r.session_id = s.session_id
WHERE s.session_id IN ({ids})"""
_ALIVE_NARROW = """\
SELECT s.session_id, {login}, NULL, NULL
FROM sys.dm_exec_sessions AS s
WHERE s.session_id IN ({ids})"""

_BY_HAND = (
    "IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = {id} AND ABS(DATEDIFF(SECOND, '2000-01-01', "
    "DATEADD(MINUTE, DATEDIFF(MINUTE, GETDATE(), GETUTCDATE()), login_time)) - {started}) <= 1) EXEC ('KILL {id}');"
)

_LOGIN = milliseconds("s.login_time")

GONE = frozenset({6101, 6106})
"""KILL's errors for a session that is not there (any more)."""
NOT_FOR_KILL = {6104: "it is dbdoctor's own session", 6107: "a session of the server itself"}
"""KILL's errors for what is never ended."""


class Ended(NamedTuple):
    """What was answered: `sent` says that the session was told to end; else `outcome` and `detail` say why not."""

    sent: bool
    outcome: str = ""
    detail: str = ""


def local_milliseconds(started: float, offset: float) -> int:
    """A start in Unix seconds as the server's local milliseconds; `offset` is how far local time is ahead, seconds."""
    return round((started - EPOCH + offset) * 1000)


def end_question(number: int, login_at: int) -> str:
    """Asks to end this session, if it is still the one that logged in then (local milliseconds since 2000)."""
    return _END.format(id=int(number), started=int(login_at), login=_LOGIN, tolerance=_TOLERANCE)


def read_end(answer: Sequence[Row]) -> Ended:
    """What became of it."""
    same = answer[0][0] if answer else None
    if same is None:
        return Ended(False, "not-found")
    return Ended(True) if same else Ended(False, "not-found", "another session has this id now")


def alive_question(ids: Iterable[int], *, with_requests: bool = True) -> str:
    """Asks which of these sessions are there, and whether they are being rolled back."""
    text = _ALIVE if with_requests else _ALIVE_NARROW
    return text.format(ids=", ".join(str(int(one)) for one in ids), login=_LOGIN)


def read_alive(logins: Mapping[Identity, int], answer: Sequence[Row]) -> dict[Identity, str]:
    """Those that are still there (by identity, with their login in local milliseconds), and what they are doing."""
    there = {row[0]: row for row in answer}
    found = {}
    for identity, login_at in logins.items():
        row = there.get(identity[0])
        if row is None or row[1] is None or abs(row[1] - login_at) > _TOLERANCE:
            continue
        done = f", {row[3]:.0f} % done" if row[3] else ""
        killed = "rollback" in str(row[2] or "").lower()
        found[identity] = f"its work is being rolled back{done}" if killed else ""
    return found


def by_hand(identity: Identity) -> str:
    """The batch that ends just this session and no other that has its id by then, whatever the server's time zone."""
    number, started = identity
    if started is None:
        return f"EXEC ('KILL {int(number)}');"
    return _BY_HAND.format(id=int(number), started=round(started - EPOCH))
