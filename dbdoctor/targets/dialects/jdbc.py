"""JDBC URLs, of pgjdbc (`jdbc:postgresql://...`) and of Microsoft's driver (`jdbc:sqlserver://...`)."""

from __future__ import annotations

from dbdoctor.model.target import Target

NAME = "JDBC URL"


def recognises(text: str) -> bool:
    """Whether this is a JDBC URL, of whatever product."""
    return text[:5].lower() == "jdbc:"


def read(text: str) -> Target:
    """The Target that this URL names. Raises UsageError."""
    from dbdoctor.targets.dialects.shared.jdbc_url import read_jdbc

    return read_jdbc(text, NAME)
