"""What is asked of SQL Server about the sessions of our own trials, and how they are ended; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.databases.sqlserver_text import Row, milliseconds
from dbdoctor.model.trial import Ghost

# Our own: under this name, of this login, and not the session that asks.
_OURS = """\
s.is_user_process = 1 AND s.session_id <> @@SPID AND s.program_name LIKE '{name}%'
  AND s.login_name = (SELECT own.login_name FROM sys.dm_exec_sessions AS own WHERE own.session_id = @@SPID)"""

_LOOK = """\
SELECT s.session_id, s.status, s.open_transaction_count, s.program_name, {login} AS login
FROM sys.dm_exec_sessions AS s
WHERE {ours}"""

# A login time counts in 1/300 s.
_TOLERANCE = 10
# KILL takes no variable, and is refused inside a transaction; ours has none.
_END = """\
IF EXISTS (
  SELECT 1 FROM sys.dm_exec_sessions AS s
  WHERE {ours} AND s.session_id = {id} AND ABS({login} - {started}) <= {tolerance}
)
  EXEC ('KILL {id}');"""

_LOGIN = milliseconds("s.login_time")


class Ours(NamedTuple):
    """One of our sessions: `login` is when it logged in, in the server's local milliseconds since 2000."""

    ghost: Ghost
    name: str
    login: int


def look_question(name: str) -> str:
    """Our own sessions whose application name begins so."""
    return _LOOK.format(ours=_ours(name), login=_LOGIN)


def read_look(rows: Sequence[Row]) -> list[Ours]:
    """The answer to `look_question`. A trial's statements read no table here, so that there are no locks to count."""
    return [
        Ours(Ghost(int(row[0]), str(row[1] or ""), bool(row[2]), 0), str(row[3] or ""), int(row[4] or 0))
        for row in rows
    ]


def end_question(prefix: str, sessions: Sequence[Ours]) -> str:
    """End these sessions: who they are is checked in the batch that ends them."""
    parts = [
        _END.format(
            ours=_ours(prefix), id=int(one.ghost.session), started=int(one.login), login=_LOGIN, tolerance=_TOLERANCE
        )
        for one in sessions
    ]
    return "\n".join(["SET NOCOUNT ON;", *parts, "SELECT 1 AS done;"])


def _ours(name: str) -> str:
    if not name.replace("-", "").isalnum():
        raise ValueError("the name of a trial is of letters, digits and hyphens")
    return _OURS.format(name=name)
