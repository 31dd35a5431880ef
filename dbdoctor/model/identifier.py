"""Names as SQL takes them."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """`name` in double quotes, as PostgreSQL and SQL Server take it: `app` gives `"app"`, `o"k` gives `"o""k"`."""
    return '"' + name.replace('"', '""') + '"'
