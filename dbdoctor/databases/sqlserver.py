"""SQL Server 2012 and later, Azure SQL and relatives: what they are asked of themselves; `sqlserver_facts` reads it.

    facts = gather_facts(ask, clock=time.time, tls="TLSv1.2")

The edition comes first, in a question of its own: with a view in the same question, a missing right would make Azure look
like a server of one's own. Every question may be refused, and then says by `missing` what is not known and which right
would show it; expressions that are refused together are asked one by one, for relatives that know only some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbdoctor.databases.sqlserver_edition import Edition, read_edition
from dbdoctor.databases.sqlserver_facts import SESSIONS, Answers, read_facts
from dbdoctor.databases.sqlserver_text import Ask, RefusedError, Row, milliseconds
from dbdoctor.model.server import ServerFacts

SETTLE = "SET NOCOUNT ON; SET LOCK_TIMEOUT 2000;"
"""To be sent once after each login: nothing of ours waits long for a lock."""

EDITION = (
    "CAST(SERVERPROPERTY('EngineEdition') AS INT)",
    "CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128))",
    "CAST(SERVERPROPERTY('Edition') AS NVARCHAR(128))",
    "CAST(SERVERPROPERTY('ProductUpdateLevel') AS NVARCHAR(128))",
    "CAST(SERVERPROPERTY('BabelfishVersion') AS NVARCHAR(128))",
    "@@VERSION",
)
OURSELVES = (
    "@@SPID",
    milliseconds("SYSUTCDATETIME()"),
    milliseconds("SYSDATETIME()"),
    "ORIGINAL_LOGIN()",
    "USER_NAME()",
    "DB_NAME()",
)
RIGHTS = (
    "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')",
    "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE')",
    "HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE')",
    "IS_SRVROLEMEMBER('##MS_ServerStateReader##')",
)
DATABASE = (
    "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS NVARCHAR(128))",
    "CAST(DATABASEPROPERTYEX(DB_NAME(), 'ServiceObjective') AS NVARCHAR(128))",
    "CAST(CONNECTIONPROPERTY('client_net_address') AS NVARCHAR(48))",
    "@@MAX_CONNECTIONS",
    "CAST(SERVERPROPERTY('IsHadrEnabled') AS INT)",
)
CONNECTION = """\
SELECT TOP (1) encrypt_option, client_net_address, client_tcp_port, auth_scheme
FROM sys.dm_exec_connections
WHERE session_id = @@SPID AND parent_connection_id IS NULL"""
# Ticks know nothing of daylight saving.
UPTIME = "SELECT ms_ticks - sqlserver_start_time_ms_ticks, max_workers_count, cpu_count FROM sys.dm_os_sys_info"
# tempdb is made anew at each start, and everybody may know when.
TEMPDB = f"SELECT {milliseconds('create_date')} FROM sys.databases WHERE database_id = 2"  # noqa: S608 - no value of anybody
SETTINGS = """\
SELECT name, CAST(value_in_use AS INT)
FROM sys.configurations
WHERE name IN (N'user connections', N'max worker threads')"""
LIMITS = """\
SELECT slo_name, dtu_limit, cpu_limit, max_sessions, primary_group_max_workers
FROM sys.dm_user_db_resource_governance
WHERE database_id = DB_ID()"""
_USED = """\
SELECT login_name, program_name, status, COUNT(*)
FROM sys.dm_exec_sessions
WHERE is_user_process = 1{only}
GROUP BY login_name, program_name, status"""
OWN_DATABASE = " AND database_id = DB_ID()"
"""Of the sessions that a logical server of Azure shows, those of our database: its limits are the database's."""


def used_question(edition: Edition) -> str:
    """How many sessions there are, by login, program and status."""
    return _USED.format(only=OWN_DATABASE if edition.is_database else "")


def gather_facts(ask: Ask, *, clock: Callable[[], float], tls: str | None = None) -> ServerFacts:
    """What the server says of itself. `clock` is ours (Unix seconds), `tls` what our own end knows of the encryption.

    `ask` raises RefusedError for what the server refuses; whatever else it raises ends this.
    """
    return read_facts(gather(ask, clock=clock, tls=tls))


def gather(ask: Ask, *, clock: Callable[[], float], count_sessions: bool = True, tls: str | None = None) -> Answers:
    """The answers that the facts are read from; who counts sessions by other means leaves that out: none are in use then."""
    edition = read_edition(_values(ask, EDITION))
    sent = clock()
    ourselves = _values(ask, OURSELVES)
    received = clock()
    answers = Answers(edition, ourselves, sent, received, rights=_values(ask, RIGHTS), tls=tls)
    answers.database = _values(ask, DATABASE)
    answers.connection = _first(ask, CONNECTION, answers, "the encryption of our own session")
    answers.uptime = _first(ask, UPTIME, answers, "the server's start and its workers")
    if answers.uptime is None and not edition.is_database:
        answers.tempdb = _first(ask, TEMPDB)
    if edition.is_azure_database:
        answers.limits = _first(ask, LIMITS, answers, "the limits of the service tier")
    elif not edition.is_database:
        answers.settings = _rows(ask, SETTINGS, answers, "the server's settings")
    if count_sessions:
        answers.used = _rows(ask, used_question(edition), answers, SESSIONS)
    return answers


def _values(ask: Ask, expressions: tuple[str, ...]) -> list[Any]:
    """The value of each expression; None for those that are refused."""
    try:
        rows = ask(f"SELECT {', '.join(expressions)}")
        return list(rows[0]) if rows and len(rows[0]) == len(expressions) else [None] * len(expressions)
    except RefusedError:
        if len(expressions) == 1:
            return [None]
        return [_values(ask, (expression,))[0] for expression in expressions]


def _first(ask: Ask, question: str, answers: Answers | None = None, what: str = "") -> Row | None:
    rows = _rows(ask, question, answers, what)
    return rows[0] if rows else None


def _rows(ask: Ask, question: str, answers: Answers | None = None, what: str = "") -> list[Row] | None:
    try:
        return ask(question)
    except RefusedError as error:
        if answers is not None:
            answers.refused[what] = error
        return None
