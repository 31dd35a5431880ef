"""What can go wrong in the process that talks to the driver, and the reading of what pyodbc says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from dbdoctor.model.secret import redact

# `[28000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed ... (18456) (SQLDriverConnect); [28000] ...`
_RECORD = re.compile(r"\[([0-9A-Z]{5})\] (.*?) \((-?\d+)\)(?: \(SQL\w+\))?(?:; (?=\[[0-9A-Z]{5}\] )|\Z)", re.DOTALL)
_VENDORS = re.compile(r"\A(?:\[[^\]]{1,60}\])+")
_LONGEST = 4000


class Record(NamedTuple):
    """One diagnostic record: `native` is the server's (or the driver's) number, `message` without the vendors' brackets."""

    sqlstate: str
    native: int
    message: str


class OdbcError(Exception):
    """The driver said no. `sqlstate`, `native` (None when no record was readable) and `message` are the first record's.

    A query that the driver ended at its timeout comes as SQLSTATE HYT00; the session goes on then.
    """

    def __init__(self, sqlstate: str, text: str) -> None:
        text = redact(text)
        self.records = read_records(text)
        first = self.records[0] if self.records else None
        self.sqlstate = first.sqlstate if first else sqlstate
        self.native = first.native if first else None
        self.message = first.message if first else text[:_LONGEST]
        super().__init__(self.message)

    @property
    def natives(self) -> tuple[int, ...]:
        """The native numbers of all records, in order."""
        return tuple(record.native for record in self.records)


class OdbcTimeoutError(Exception):
    """The deadline passed. `records` has what the driver itself said at that moment; empty when it had to be killed."""

    def __init__(self, seconds: float, records: Iterable[Record] = ()) -> None:
        self.seconds = seconds
        self.records = tuple(records)
        super().__init__(f"no answer within {seconds:.1f} s")


class OdbcCrashedError(Exception):
    """The driver took its process down: by the signal of this number, or (None) it ended by itself."""

    def __init__(self, signal: int | None) -> None:
        self.signal = signal
        super().__init__(f"the driver's process ended{f' by signal {signal}' if signal else ''}")


def read_records(text: str) -> tuple[Record, ...]:
    """The diagnostic records in pyodbc's text, in order; those about a mere change of context come last."""
    found = [
        Record(match[1], int(match[3]), _VENDORS.sub("", match[2])[:_LONGEST].strip())
        for match in _RECORD.finditer(text)
    ]
    return tuple(sorted(found, key=lambda record: record.sqlstate.startswith("01")))
