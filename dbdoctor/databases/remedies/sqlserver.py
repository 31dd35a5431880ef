"""SQL Server's words and statements. It has no timeout of its own for idle transactions: nothing to paste there."""

from __future__ import annotations

TEXTS = {
    "harm-writes": "rows it has written stay locked, and the log cannot be truncated beyond it, until it ends",
    "harm-locks": "its locks block others until it ends",
    "harm-snapshot": "versions of rows pile up in tempdb until it ends",
    "harm-nothing": "its pool does not get the connection back, and what it has read may stay locked",
}


def quote(name: str) -> str:
    """A name in brackets."""
    return f"[{name.replace(']', ']]')}]"
