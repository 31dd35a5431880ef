"""The dialects in which people write down where a database is: one file each.

A dialect's file has `NAME`, `recognises(text) -> bool` (cheap, never raises) and `read(text) -> Target`, which raises
UsageError. What `read` gives is not yet completed with libpq's environment and defaults.
"""

from __future__ import annotations

DIALECTS = ("jdbc", "sqlalchemy_url", "sqlserver_url", "libpq_uri", "odbc", "ado", "libpq_service", "libpq_keyvalue")
"""The dialects' modules in this package, in the order in which they are asked whether they recognise a text."""
