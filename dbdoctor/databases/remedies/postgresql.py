"""PostgreSQL's words and statements."""

from __future__ import annotations

from dbdoctor.model.identifier import quote_identifier as quote

__all__ = ["TEXTS", "quote"]

TEXTS = {
    "harm-writes": "rows it has written stay locked, and vacuum is held back in the whole database, until it ends",
    "harm-locks": "its locks block others until it ends",
    "harm-snapshot": "its snapshot holds vacuum back in the whole database until it ends",
    "harm-nothing": "its pool does not get the connection back, and ALTER TABLE waits for it on each table it has read",
    "end-idle-in-transaction": "ALTER ROLE {role} SET idle_in_transaction_session_timeout = '60s';",
    "account": "role",
    "admit-more-sessions": "raising max_connections",
    "who-holds-sessions": (
        "SELECT usename, application_name, state, count(*),\n"
        "       max(now() - state_change) AS longest\n"
        "FROM pg_stat_activity WHERE backend_type = 'client backend'\n"
        "GROUP BY 1, 2, 3 ORDER BY 4 DESC;"
    ),
    "what-holds-up-replay": (
        "SELECT pid, now() - xact_start AS age, query\n"
        "FROM pg_stat_activity WHERE backend_type = 'client backend'\n"
        "ORDER BY age DESC NULLS LAST LIMIT 5;"
    ),
    "or-share-sessions": ", or put a pooler in front",
    "tls-parameter": "sslmode",
    "tls-default": "prefer",
    "no-tls": "sslmode=disable",
    "use-tls": "sslmode=verify-full",
    "needs-for-tls": "it needs server.crt and server.key",
    "switch-tls-on": "ALTER SYSTEM SET ssl = on;\nSELECT pg_reload_conf();",
    "see-sessions": "GRANT pg_monitor TO {user};",
}
