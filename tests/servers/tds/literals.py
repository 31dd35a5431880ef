"""Python's values as T-SQL literals, and T-SQL's variables filled in as such."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid


def literal(value: object, type_: str = "") -> str:
    """`value` as T-SQL text of that type."""
    if value is None:
        return f"CAST(NULL AS {type_})" if type_ else "NULL"
    if isinstance(value, bool) or type_ == "bit":
        return f"CAST({int(bool(value))} AS BIT)"
    if isinstance(value, int):
        return f"({value})" if value < 0 else str(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS FLOAT)"
    if isinstance(value, decimal.Decimal):
        scale = max(0, -int(value.as_tuple().exponent))
        return f"CAST('{value}' AS DECIMAL(38,{scale}))"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, uuid.UUID):
        return f"CAST('{value}' AS UNIQUEIDENTIFIER)"
    if isinstance(value, dt.datetime):
        kind = "DATETIMEOFFSET" if value.tzinfo else "DATETIME" if type_ == "datetime" else "DATETIME2"
        return f"CAST('{value.isoformat(' ')}' AS {kind})"
    if isinstance(value, dt.date | dt.time):
        return f"CAST('{value.isoformat()}' AS {type(value).__name__.upper()})"
    return "N'" + str(value).replace("'", "''") + "'"
