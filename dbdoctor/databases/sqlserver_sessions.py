"""What is asked about SQL Server's sessions at every look: one light question, made of the views that we may see; pure.

    look_question(parts)    one row a session, ours included: its last columns are the server's clock
    without(error, parts)   the parts that are left when a view or a column is not there; None when the error does not tell
    probes(parts)           a question for each view, to find out which of them is denied

The answers are read in `sqlserver_session_rows`. Everything hangs on `dm_exec_sessions`; the other views are parts that
may be left out, and so are columns that relatives do not have. Joins are told to hash: at 10,000 sessions the nested loops
that the optimizer prefers cost the server ten times as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dbdoctor.databases.sqlserver_text import RefusedError, milliseconds

CONNECTIONS, REQUESTS, TRANSACTIONS = "connections", "requests", "transactions"
WHAT = {
    CONNECTIONS: "the addresses of clients and their last statements",
    REQUESTS: "what sessions wait for, and who blocks whom",
    TRANSACTIONS: "whether an open transaction has done anything",
}
"""What is not known without each part."""

_VIEWS = {
    CONNECTIONS: ("dm_exec_connections",),
    REQUESTS: ("dm_exec_requests",),
    TRANSACTIONS: (
        "dm_tran_session_transactions",
        "dm_tran_active_transactions",
        "dm_tran_database_transactions",
    ),
}


class Parts(NamedTuple):
    """What the look is made of: the views beside `dm_exec_sessions`, columns that are not there, whether to hash.

    `own_database`: on Azure's logical servers only the sessions of our database are ours to judge.
    """

    views: tuple[str, ...] = (CONNECTIONS, REQUESTS, TRANSACTIONS)
    absent: frozenset[str] = frozenset()
    hash: bool = True
    own_database: bool = False


class Columns(NamedTuple):
    """A row of the look, in this order. Times are milliseconds of the server's local time since 2000 (`*_at`)."""

    id: int
    login_at: int | None
    login: str | None
    database: str | None
    program: str | None
    host: str | None
    process: int | None
    status: str | None
    start_at: int | None
    end_at: int | None
    transactions: int | None
    address: str | None
    port: int | None
    request_at: int | None
    wait_type: str | None
    wait_time: int | None
    blocked_by: int | None
    began_at: int | None
    log_records: int | None
    implicit: int | None
    utc_now: int | None
    local_now: int | None


_SESSION = (
    ("session_id", "s.session_id"),
    ("login_time", milliseconds("s.login_time")),
    ("login_name", "s.login_name"),
    ("database_id", "DB_NAME(s.database_id)"),
    ("program_name", "s.program_name"),
    ("host_name", "s.host_name"),
    ("host_process_id", "s.host_process_id"),
    ("status", "s.status"),
    ("last_request_start_time", milliseconds("s.last_request_start_time")),
    ("last_request_end_time", milliseconds("s.last_request_end_time")),
    ("open_transaction_count", "s.open_transaction_count"),
)
_PART_COLUMNS = {
    CONNECTIONS: ("c.client_net_address", "c.client_tcp_port"),
    REQUESTS: (milliseconds("r.start_time"), "r.wait_type", "r.wait_time", "r.blocking_session_id"),
    TRANSACTIONS: (milliseconds("t.began"), "t.log_records", "t.is_implicit"),
}
# With MARS a session has several connections, of which one is the parent's, and perhaps several requests: one row each.
_JOINS = {
    CONNECTIONS: """\
LEFT {hash}JOIN sys.dm_exec_connections AS c
  ON c.session_id = s.session_id AND c.parent_connection_id IS NULL""",
    REQUESTS: """\
LEFT {hash}JOIN (
  SELECT x.session_id, MIN(x.start_time) AS start_time, MAX(x.wait_type) AS wait_type, MAX(x.wait_time) AS wait_time,
         MAX(x.blocking_session_id) AS blocking_session_id
  FROM sys.dm_exec_requests AS x
  GROUP BY x.session_id) AS r
  ON r.session_id = s.session_id""",
    TRANSACTIONS: """\
LEFT {hash}JOIN (
  SELECT st.session_id, MIN(a.transaction_begin_time) AS began,
         MAX(CASE WHEN a.name = N'implicit_transaction' THEN 1 ELSE 0 END) AS is_implicit,
         SUM(ISNULL(d.database_transaction_log_record_count, 0)) AS log_records
  FROM sys.dm_tran_session_transactions AS st
  INNER {hash}JOIN sys.dm_tran_active_transactions AS a
    ON a.transaction_id = st.transaction_id
  LEFT {hash}JOIN sys.dm_tran_database_transactions AS d
    ON d.transaction_id = st.transaction_id
  WHERE st.is_user_transaction = 1
  GROUP BY st.session_id) AS t
  ON t.session_id = s.session_id""",
}


def look_question(parts: Parts) -> str:
    """Asks for all user sessions, and for our own because of the clock."""
    columns = ["NULL" if name in parts.absent else column for name, column in _SESSION]
    for part, names in _PART_COLUMNS.items():
        columns += names if part in parts.views else ["NULL"] * len(names)
    for clock in ("SYSUTCDATETIME()", "SYSDATETIME()"):
        columns.append(f"CASE WHEN s.session_id = @@SPID THEN {milliseconds(clock)} END")
    hint = "HASH " if parts.hash else ""
    joins = [_JOINS[part].format(hash=hint) for part in parts.views]
    users = "1 = 1" if "is_user_process" in parts.absent else "s.is_user_process = 1"
    only = f"{users} AND s.database_id = DB_ID()" if parts.own_database else users
    text = [
        "SELECT " + ",\n       ".join(columns),
        "FROM sys.dm_exec_sessions AS s",
        *joins,
        f"WHERE ({only}) OR s.session_id = @@SPID",
    ]
    return "\n".join([*text, "OPTION (MAXDOP 1)"] if parts.hash else text)


def without(error: RefusedError, parts: Parts) -> Parts | None:
    """What is left when the view or column that the error names is taken out; None when that does not help."""
    named = re.search(r"'([^']*)'", str(error))
    name = (named[1] if named else "").rpartition(".")[2].strip("[]").lower()
    for part in parts.views:
        if any(view in str(error).lower() for view in _VIEWS[part]):
            return parts._replace(views=tuple(one for one in parts.views if one != part))
    optional = {*(column for column, _ in _SESSION[2:]), "is_user_process"}
    if error.native == 207 and name in optional - parts.absent:
        return parts._replace(absent=parts.absent | {name})
    return None


def probes(parts: Parts) -> Iterator[tuple[str, str]]:
    """For each part and each of its views a question that is refused when we may not see it."""
    for part in parts.views:
        for view in _VIEWS[part]:
            yield part, f"SELECT TOP (1) 1 AS seen FROM sys.{view}"  # noqa: S608 - names of our own
