"""SQLAlchemy does not recognise that the connection is lost

What it means
    The connection was gone, the application got an error, and SQLAlchemy did not take it for a disconnect: each dialect
    knows its drivers' words for that, and this error has others. FreeTDS after a reset says `Unknown error`; SQL
    Server's errors inside a session (40613, 10928, ...) and messages of libpq in other languages are not known either.

Why it matters
    The broken connection goes back into the pool, and the next request gets it. pool_pre_ping does not help: its ping
    fails with the same words, and the error is raised to the application instead of being repaired.

What to do
    Name the error as a disconnect:

        @event.listens_for(engine, "handle_error")
        def is_disconnect(context):
            if "Unknown error" in str(context.original_exception):
                context.is_disconnect = True

    On SQL Server Microsoft's driver 18 says 08S01 in the same place, which SQLAlchemy knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.trials._tried import Hit, Tried

CODES = ("disconnect-not-recognised",)

# Read-only, cancelled by a statement timeout, by a lock timeout.
_STATES = frozenset({"25006", "57014", "55P03"})
# How a login that failed begins with libpq, and ends with pyodbc.
_LOGIN = re.compile(r"\Aconnection to server (?:at|on)|\AFATAL: |\(SQLDriverConnect\)")
# The native number of an error, before ODBC's function; a driver's own error has none, or 0.
_NUMBER = re.compile(r"(\([1-9]\d*\)) \(SQL\w+\)")
_LONGEST = 60


def judge(tried: Tried) -> Iterator[Finding]:
    """Errors of lost connections after which the pool kept what it had."""
    hits = [hit for hit in tried.hits() if _missed(hit)]
    if not hits:
        return
    error = hits[0].case.error
    message = error.message if error else ""
    part = _telling(message)
    yield tried.finding(
        "disconnect-not-recognised",
        Severity.ERROR,
        hits,
        title=f"SQLAlchemy does not take it for a lost connection: {message}",
        why="the broken connection goes back into the pool and is given to the next request, and pool_pre_ping passes the "
        "error of its test on to the request in place of replacing the connection",
        fix="say that this error is a disconnect",
        command='@event.listens_for(engine, "handle_error")\n'
        "def is_disconnect(context):\n"
        f'    if "{part}" in str(context.original_exception):\n'
        "        context.is_disconnect = True",
        evidence={"message": message, "sqlstate": error.sqlstate if error else None},
    )


def _telling(message: str) -> str:
    """What no other error has in common with it: SQL Server's number, else the words after who says them."""
    number = _NUMBER.search(message)
    if number is not None:
        return number[1]
    return message.rpartition("]")[2].replace("\\", "").replace('"', "").strip()[:_LONGEST]


def _missed(hit: Hit) -> bool:
    error = hit.case.error
    if error is None or error.invalidated is not False or hit.fault.away:
        return False
    if _LOGIN.search(error.message):
        return False
    return error.driver_type is not None and (error.sqlstate or "") not in _STATES
