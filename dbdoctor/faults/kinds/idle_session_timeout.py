"""The server ends sessions that are idle for too long

What it means
    PostgreSQL's `idle_session_timeout` (14 and later) ends a session that has been idle, outside a transaction, for so
    long. Here it is set on the sessions of this trial only.

Why it matters
    Every pooled connection that waits for its next use is such a session. The next use fails at once with `server
    closed the connection unexpectedly`; the server's reason (SQLSTATE 57P05) is lost on the way. Keepalives do not
    count: only a statement does.

What to do
    `pool_recycle` below the setting, or `pool_pre_ping=True`; or no such timeout for roles that pool (`ALTER ROLE ...
    SET idle_session_timeout = 0`).
"""

from __future__ import annotations

from dbdoctor.faults.server_setting import ServerSetting


class IdleSessionTimeout(ServerSetting):
    """The server ends idle sessions."""

    code = "idle-session-timeout"
    title = "ended by the server when idle"
    stands_for = "idle_session_timeout"
    setting = "idle_session_timeout"
    since = 14
