"""The system procedures that drivers call by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers.tds.parameters import Parameter
from tests.servers.tds.results import Result
from tests.servers.tds.values import Column

# For these no answer is answer enough.
_SILENT = {
    "sp_describe_undeclared_parameters",
    "sp_describe_first_result_set",
    "sp_oledb_ro_usrname",
}
_SHAPE = """
TYPE_NAME nvarchar(128), DATA_TYPE smallint, PRECISION int, LITERAL_PREFIX varchar(32), LITERAL_SUFFIX varchar(32),
CREATE_PARAMS varchar(32), NULLABLE smallint, CASE_SENSITIVE smallint, SEARCHABLE smallint, UNSIGNED_ATTRIBUTE smallint,
MONEY smallint, AUTO_INCREMENT smallint, LOCAL_TYPE_NAME nvarchar(128), MINIMUM_SCALE smallint, MAXIMUM_SCALE smallint,
SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint, NUM_PREC_RADIX int, INTERVAL_PRECISION smallint, USERTYPE smallint
"""
_COLUMNS = tuple(Column(*item.split()) for item in _SHAPE.replace("\n", " ").strip().split(", "))
# Name, ODBC's number, size, scale: those that the drivers ask for.
_TYPES: tuple[tuple[str, int, int, int | None], ...] = (
    ("nvarchar", -9, 4000, None),
    ("varbinary", -3, 8000, None),
    ("varchar", 12, 8000, None),
    ("datetime2", 93, 27, 7),
    ("datetime", 93, 23, 3),
    ("int", 4, 10, 0),
)


def known(name: str) -> bool:
    """Whether there is such a procedure."""
    return name in _SILENT or name.startswith("sp_datatype_info")


def call(name: str, parameters: Sequence[Parameter]) -> Result | None:
    """What a known procedure gives; None is nothing at all."""
    if name in _SILENT:
        return None
    wanted = int(str(parameters[0].value)) if parameters else 0
    rows = tuple(_row(*each) for each in _TYPES if wanted in {0, each[1]})
    return Result(_COLUMNS, rows, len(rows))


def _row(name: str, number: int, size: int, scale: int | None) -> tuple[object, ...]:
    text = number in {-9, 12, 93}
    quotes = ("N'" if number == -9 else "'", "'") if text else (None, None)
    return (name, number, size, *quotes, None, 1, 0, 3, None, 0, None, name, scale, scale, number, None, None, None, 0)
