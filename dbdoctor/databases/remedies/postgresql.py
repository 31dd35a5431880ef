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
    "see-sessions": "GRANT pg_monitor TO {user};",
}
