"""What is asked of the few sessions of SQL Server whose life needs an explanation: last statement, use of the log; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dbdoctor.databases.sqlserver_session_rows import Known
from dbdoctor.databases.sqlserver_sessions import Columns
from dbdoctor.databases.sqlserver_text import Row, milliseconds, one_line
from dbdoctor.databases.statement_secrets import without_passwords
from dbdoctor.model.secret import redact
from dbdoctor.model.session import IDLE, Detail

MOST_DETAILS = 200
"""So many sessions are asked about in one call, at most."""

_STATEMENT = 1000
# `(@P1 int,@P2 nvarchar(10))select ...`: what a driver declares is not what the application wrote.
_DECLARED = re.compile(r"^\((?:@\w+ [\w.\[\]]+(?:\([\w, ]*\))?(?: output)?,?)+\)\s*", re.IGNORECASE)
# Drivers ask this of their own accord after connecting; the view shows the call, or the procedure's own text.
_DRIVERS_OWN = re.compile(r"\bsp_(?:datatype_info|describe_undeclared_parameters|reset_connection)", re.IGNORECASE)

_STATEMENTS = """\
SELECT s.session_id, {login}, {start}, {end}, LEFT(q.text, {most}),
       CASE WHEN c.most_recent_sql_handle IS NULL THEN 0 ELSE 1 END, NULL
FROM sys.dm_exec_sessions AS s
LEFT JOIN sys.dm_exec_connections AS c
  ON c.session_id = s.session_id AND c.parent_connection_id IS NULL
OUTER APPLY sys.dm_exec_sql_text(c.most_recent_sql_handle) AS q
WHERE s.session_id IN ({ids})"""
_BUFFERS = """\
SELECT s.session_id, {login}, {start}, {end}, LEFT(b.event_info, {most}), NULL, NULL
FROM sys.dm_exec_sessions AS s
OUTER APPLY sys.dm_exec_input_buffer(s.session_id, NULL) AS b
WHERE s.session_id IN ({ids})"""
_LOG = """\
SELECT s.session_id, {login}, {start}, {end}, NULL, NULL, SUM(d.database_transaction_log_bytes_used)
FROM sys.dm_exec_sessions AS s
INNER JOIN sys.dm_tran_session_transactions AS st
  ON st.session_id = s.session_id
INNER JOIN sys.dm_tran_database_transactions AS d
  ON d.transaction_id = st.transaction_id
WHERE s.session_id IN ({ids})
GROUP BY s.session_id, s.login_time, s.last_request_start_time, s.last_request_end_time"""


def statements_question(ids: Sequence[int]) -> str:
    """Asks for the last statement of these sessions (one at least)."""
    return _filled(_STATEMENTS, ids)


def buffers_question(ids: Sequence[int]) -> str:
    """Asks what these sessions last sent, for those whose statement the server does not keep any more."""
    return _filled(_BUFFERS, ids)


def log_question(ids: Sequence[int]) -> str:
    """Asks how much of the log the open transactions of these sessions use."""
    return _filled(_LOG, ids)


def read_details(answer: Sequence[Row], known: Mapping[int, Known]) -> dict[int, Detail]:
    """By session id. A session that did something since the look, or is another one now, is left out."""
    found: dict[int, Detail] = {}
    for session_id, login, start, end, text, _ran, log_bytes in answer:
        before = known.get(session_id)
        if before is None or [before.row[1], before.row[8], before.row[9]] != [login, start, end]:
            continue
        found[session_id] = Detail(
            changed_at=before.session.changed_at,
            statement=_last(_statement(text), before),
            log_bytes=None if log_bytes is None else int(log_bytes),
        )
    return found


def drivers_own(answer: Sequence[Row], found: Mapping[int, Detail]) -> set[int]:
    """Those of the sessions found that have run nothing but what their driver asked of its own accord."""
    return {
        row[0]
        for row in answer
        if row[0] in found and (row[5] == 0 or _DRIVERS_OWN.search(str(row[4] or "")[:200]) is not None)
    }


def merged(first: Mapping[int, Detail], second: Mapping[int, Detail]) -> dict[int, Detail]:
    """What both say of a session in one; `first` counts where both say something."""
    found = dict(first)
    for number, other in second.items():
        one = found.get(number)
        if one is None:
            found[number] = other
            continue
        bytes_ = one.log_bytes if one.log_bytes is not None else other.log_bytes
        found[number] = one._replace(statement=one.statement or other.statement, log_bytes=bytes_)
    return found


def _filled(question: str, ids: Sequence[int]) -> str:
    return question.format(
        login=milliseconds("s.login_time"),
        start=milliseconds("s.last_request_start_time"),
        end=milliseconds("s.last_request_end_time"),
        most=_STATEMENT,
        ids=", ".join(str(int(one)) for one in ids[:MOST_DETAILS]),
    )


def _last(statement: str | None, known: Known) -> str | None:
    """With the driver's own COMMIT or ROLLBACK, which is no statement to the server and leaves the one before it there.

    It was the last request if the open transaction has begun within that, and is empty.
    """
    row = Columns(*known.row)
    if known.session.state != IDLE or row.began_at is None or row.start_at is None or row.start_at > row.began_at:
        return statement
    after = f" /* after: {statement.replace('*/', '* /')} */" if statement else ""
    return f"COMMIT or ROLLBACK{after}"


def _statement(text: str | None) -> str | None:
    if text is None:
        return None
    return redact(one_line(without_passwords(_DECLARED.sub("", str(text))), _STATEMENT)) or None
