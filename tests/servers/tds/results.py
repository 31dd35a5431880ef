"""What a statement gives, and how DuckDB's types and complaints become T-SQL's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from tests.servers.tds.errors import SqlError
from tests.servers.tds.translate import UNNAMED
from tests.servers.tds.values import Column

_PLAIN_TYPES = {
    "UTINYINT": "tinyint",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "int",
    "INTEGER": "int",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "bigint",
    "HUGEINT": "bigint",
    "BOOLEAN": "bit",
    "FLOAT": "real",
    "DOUBLE": "float",
    "TIMESTAMP_MS": "datetime",
    "TIMESTAMP_S": "datetime",
    "TIMESTAMP": "datetime2(7)",
    "TIMESTAMP WITH TIME ZONE": "datetimeoffset(7)",
    "DATE": "date",
    "TIME": "time(7)",
    "UUID": "uniqueidentifier",
    "JSON": "sql_variant",
    '"NULL"': "int",
    "BLOB": "varbinary",
}


@dataclass(frozen=True)
class Result:
    """A result set, or with no columns the number of rows that a statement changed (None: not counted)."""

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    count: int | None = None


@dataclass(frozen=True)
class Said:
    """PRINT's text and its like."""

    text: str
    number: int = 0
    severity: int = 0


Outcome = Result | Said


def result_of(cursor: duckdb.DuckDBPyConnection) -> Result:
    """What a query gave."""
    rows = tuple(tuple(row) for row in cursor.fetchall())
    described = [(str(item[0]), str(item[1])) for item in cursor.description or ()]
    columns = tuple(
        Column("" if name.startswith(UNNAMED) else name, _type_of(kind, [row[index] for row in rows]))
        for index, (name, kind) in enumerate(described)
    )
    variants = [index for index, column in enumerate(columns) if column.type == "sql_variant"]
    if variants:
        rows = tuple(
            tuple(_variant(value) if index in variants else value for index, value in enumerate(row)) for row in rows
        )
    return Result(columns, rows, len(rows))


def _type_of(kind: str, values: Sequence[object]) -> str:
    if kind.startswith("DECIMAL"):
        return kind.lower()
    plain = _PLAIN_TYPES.get(kind, "nvarchar")
    if plain == "varbinary":
        longest = max((len(value) for value in values if isinstance(value, bytes)), default=0)
        return "varbinary(8000)" if longest <= 8000 else "varbinary(max)"
    if plain == "nvarchar":
        longest = max((len(str(value)) for value in values), default=0)
        return "nvarchar(4000)" if longest <= 4000 else "nvarchar(max)"
    return plain


def _variant(value: object) -> object:
    text = None if value is None else str(value).strip('"')
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else text


_COMPLAINTS: tuple[tuple[str, int], ...] = (
    (r"TSQL (\d+)", 0),
    (r'Referenced column "([^"]+)" not found', 207),
    (r'does not have a column named "([^"]+)"', 207),
    (r'column "([^"]+)" (?:cannot be referenced|must appear)', 207),
    (r"Table with name ([^ ]+) does not exist", 208),
    (r'Referenced table "([^"]+)" not found', 4104),
    (r'Table with name "?([^" ]+)"? already exists', 2714),
    (r"(?:Scalar|Table|Aggregate|Macro) Function with name ([^ ]+) does not exist", 195),
    (r"(?i)duplicate key|violates (?:primary key|unique) constraint", 2627),
    (r"NOT NULL constraint failed: ([^ ]+)", 515),
    (r"Could not convert string '([^']*)'", 245),
    (r"[Dd]ivi(?:de|sion) by zero", 8134),
    (r'syntax error at or near "([^"]*)"', 102),
)


def complaint(error: duckdb.Error) -> SqlError:
    """DuckDB's complaint as SQL Server's."""
    text = str(error)
    for pattern, number in _COMPLAINTS:
        if match := re.search(pattern, text):
            word = match.group(1) if match.groups() else ""
            if not number:
                return SqlError(int(word))
            if number == 4104:
                return SqlError(4104, message=f'The multi-part identifier "{word}" could not be bound.')
            if number == 245:
                return SqlError(245, "varchar", word, "int")
            return SqlError(number, word.removeprefix(UNNAMED))
    return SqlError(50000, message=f"The tests' server cannot do that: {text}")


def is_conflict(error: duckdb.Error) -> bool:
    """Whether two transactions came into each other's way."""
    return "onflict" in str(error) and isinstance(error, duckdb.TransactionException)
