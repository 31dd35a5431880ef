"""What the views show of a session: the same values for a live one and for one that a test made up."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

NEVER = dt.datetime(1900, 1, 1)  # noqa: DTZ001 - what SQL Server shows while a login is not complete


@dataclass(frozen=True)
class ShownTransaction:
    """A transaction of a session; times are the server's local ones."""

    transaction_id: int
    began: dt.datetime
    # "user_transaction" or "implicit_transaction".
    name: str = "user_transaction"
    # Whether it has read from the database: SQL Server shows no row for one that has not.
    touched: bool = True
    log_records: int = 0
    log_bytes: int = 0
    # When the first log record was written.
    first_record: dt.datetime | None = None
    # 2 active, 7 being rolled back ...
    state: int = 2
    is_user_transaction: bool = True


@dataclass(frozen=True)
class ShownRequest:
    """What a session is doing now."""

    started: dt.datetime
    status: str = "running"
    command: str = "SELECT"
    text: str | None = None
    wait_type: str | None = None
    wait_milliseconds: int = 0
    wait_resource: str = ""
    last_wait_type: str = "MISCELLANEOUS"
    blocked_by: int = 0
    percent_complete: float = 0.0
    request_id: int = 0


@dataclass(frozen=True)
class ShownSession:
    """A session; the defaults are an idle one of a pooled application. Times are the server's local ones."""

    session_id: int
    login_time: dt.datetime
    last_request_start: dt.datetime
    last_request_end: dt.datetime | None
    status: str = "sleeping"
    login_name: str = "shop"
    host_name: str | None = "app1"
    program_name: str | None = "shop"
    host_process_id: int | None = 4711
    interface: str | None = "ODBC"
    database_id: int = 5
    is_user_process: bool = True
    open_transaction_count: int = 0
    isolation_level: int = 2
    lock_timeout: int = -1
    row_count: int = 0
    cpu_milliseconds: int = 0
    reads: int = 0
    writes: int = 0
    logical_reads: int = 0
    # The row of dm_exec_connections is missing without an address.
    client_address: str | None = "10.0.0.7"
    client_port: int | None = 50000
    encrypted: bool = False
    packet_size: int = 4096
    # Logical sessions of MARS: each has a connection row of its own below the first.
    mars_sessions: int = 0
    last_text: str | None = None
    request: ShownRequest | None = None
    transactions: tuple[ShownTransaction, ...] = ()
    # Columns of a view by hand: {"dm_exec_sessions": {"group_id": 7}}.
    extra: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def sql_handle(text: str) -> bytes:
    """The handle by which dm_exec_sql_text knows a text."""
    return b"\x02\0\0\0" + hashlib.sha1(text.encode("utf-8", "surrogatepass")).digest() + b"\0" * 20
