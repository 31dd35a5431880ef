"""SQL Server's words and statements. It has no timeout of its own for idle transactions: nothing to paste there."""

from __future__ import annotations

TEXTS = {
    "harm-writes": "rows it has written stay locked, and the log cannot be truncated beyond it, until it ends",
    "harm-locks": "its locks block others until it ends",
    "harm-snapshot": "versions of rows pile up in tempdb until it ends",
    "harm-nothing": "its pool does not get the connection back, and what it has read may stay locked",
    "account": "login",
    "admit-more-sessions": "raising the limit (`user connections`; in Azure a larger tier)",
    "who-holds-sessions": (
        "SELECT login_name, program_name, status, COUNT(*) AS sessions,\n"
        "       MIN(last_request_end_time) AS idle_since\n"
        "FROM sys.dm_exec_sessions WHERE is_user_process = 1\n"
        "GROUP BY login_name, program_name, status ORDER BY sessions DESC;"
    ),
    "what-holds-up-replay": (
        "SELECT DB_NAME(database_id) AS database_name, synchronization_state_desc, redo_queue_size, redo_rate\n"
        "FROM sys.dm_hadr_database_replica_states WHERE is_local = 1;"
    ),
    "tls-parameter": "Encrypt",
    "tls-default": "yes",
    "no-tls": "Encrypt=no",
    "use-tls": "Encrypt=yes",
    "needs-for-tls": "every SQL Server can, with a certificate of its own making if it has no other",
}


def quote(name: str) -> str:
    """A name in brackets."""
    return f"[{name.replace(']', ']]')}]"
