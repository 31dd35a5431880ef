"""SQLAlchemy URLs that name a driver (`postgresql+asyncpg://`), and `mssql://`.

Source: `make_url` and the dialects' `create_connect_args` of SQLAlchemy 2.1, compared with them by a test.
"""

from __future__ import annotations

import re

from dbdoctor.model.target import Target

NAME = "SQLAlchemy URL"

_SCHEME = r"(?:(postgres(?:ql)?)\+(\w+)|mssql(?:\+\w+)?)://"


def recognises(text: str) -> bool:
    """Whether this is a URL with a driver's name in it, or one of SQL Server."""
    return not text.startswith(("postgresql:", "postgres:")) and re.match(_SCHEME, text) is not None


def read(text: str) -> Target:
    """The Target that this URL names. Raises UsageError."""
    scheme = re.match(_SCHEME, text)
    if scheme is None or not scheme[1]:
        from dbdoctor.targets.dialects.shared.sqlalchemy_mssql import read_mssql

        return read_mssql(text, NAME)
    from dbdoctor.targets.dialects.shared.sqlalchemy_postgresql import read_postgresql

    return read_postgresql(text, scheme[2], NAME)
