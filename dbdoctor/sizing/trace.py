"""Reads recorded checkouts, as CSV, as JSON lines, or as the recorder writes them, in bounded memory.

A line is one checkout: `arrival` (when it was asked for: seconds, or an ISO 8601 time, UTC when it names no zone), `wait`
and `use` in seconds, `process` (any text). CSV begins with a line of these names, in any order and among others. `wait` may be
missing and is then 0, `process` likewise. What cannot be read is counted and named by its line number.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import BadLine, Checkout, Trace
from dbdoctor.sizing.blocks import Blocks
from dbdoctor.sizing.recorded import read_recordings

MOST_KEPT = 2_000_000  # checkouts in memory: 32 bytes each, and as much again while they are sorted
_BAD_NAMED = 5
_RECORDER = '"dbdoctor.recorder/'
_NAMES = {
    "arrival": ("arrival", "arrival_seconds", "arrived_at"),
    "wait": ("wait", "wait_seconds", "wait_time"),
    "use": ("use", "use_seconds", "use_time"),
    "process": ("process", "pid"),
}


def read_trace(
    lines: Iterable[str],
    *,
    most: int = MOST_KEPT,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _lines: None,
) -> Trace:
    """The checkouts in these lines. At most `most` are kept: blocks of consecutive ones, the busiest always among them.

    `progress` is told the number of lines read, now and then. Raises UsageError when there is not one checkout in them.
    """
    reading = _Reading(Blocks(most, seed))
    first, lines = _peeked(lines)
    if _RECORDER in first[:200]:
        return read_recordings([[("", map(_encoded, lines))]], most=most, seed=seed, progress=progress)
    for number, checkout in _rows(lines, reading):
        reading.blocks.add(checkout)
        if not number % 65_536:
            progress(number)
    if not reading.blocks.counted:
        raise UsageError(
            "the trace holds no checkout that could be read",
            cause="; ".join(f"line {bad.number}: {bad.reason}" for bad in reading.bad) or "it is empty",
            help="each line is one checkout: `arrival`, `wait`, `use` and `process`, as CSV with a header or as JSON",
        )
    return reading.blocks.trace(reading.bad_lines, tuple(reading.bad))


def _peeked(lines: Iterable[str]) -> tuple[str, Iterable[str]]:
    """The first line, and all of them."""
    rest = iter(lines)
    first = next(rest, "")
    return first, chain([first], rest) if first else ()


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", "replace")


@dataclass(slots=True)
class _Reading:
    blocks: Blocks
    bad_lines: int = 0
    bad: list[BadLine] = field(default_factory=list)

    def refuse(self, number: int, reason: str) -> None:
        self.bad_lines += 1
        if len(self.bad) < _BAD_NAMED:
            self.bad.append(BadLine(number, reason))


def _rows(lines: Iterable[str], reading: _Reading) -> Iterator[tuple[int, Checkout]]:
    numbered = ((number, line.lstrip("\ufeff")) for number, line in enumerate(lines, 1))
    first = next(((number, line) for number, line in numbered if line.strip()), None)
    if first is None:
        return
    if first[1].lstrip().startswith("{"):
        yield from _json_rows(chain([first], numbered), reading)
    else:
        yield from _csv_rows(first, numbered, reading)


def _json_rows(numbered: Iterable[tuple[int, str]], reading: _Reading) -> Iterator[tuple[int, Checkout]]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            reading.refuse(number, "not JSON")
            continue
        if not isinstance(row, dict):
            reading.refuse(number, "not a JSON object")
        elif "schema" not in row:  # a first line, which is no checkout
            yield from _one(number, row, reading)


def _csv_rows(
    first: tuple[int, str], numbered: Iterable[tuple[int, str]], reading: _Reading
) -> Iterator[tuple[int, Checkout]]:
    names = [name.strip().lower() for name in next(csv.reader([first[1]]))]
    if not any(name in names for name in _NAMES["arrival"]):
        reading.refuse(first[0], "a CSV file begins with the names of its columns, and `arrival` is not among them")
        return
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            cells = next(csv.reader([line]))
        except csv.Error:
            reading.refuse(number, "not CSV")
            continue
        yield from _one(number, dict(zip(names, cells, strict=False)), reading)


def _one(number: int, row: Mapping[str, Any], reading: _Reading) -> Iterator[tuple[int, Checkout]]:
    try:
        yield number, checkout_of(row)
    except (ValueError, TypeError, OverflowError) as error:
        reading.refuse(number, str(error) if isinstance(error, ValueError) else "not a number")


def checkout_of(row: Mapping[str, Any]) -> Checkout:
    """The checkout that these named values tell of; raises ValueError with a message fit for users, or TypeError."""
    wait, process = _value(row, "wait"), _value(row, "process")
    return Checkout(
        _moment(_wanted(row, "arrival")),
        _duration(0.0 if wait is None else wait, "wait"),
        _duration(_wanted(row, "use"), "use"),
        "" if process is None else str(process),
    )


def _value(row: Mapping[str, Any], name: str) -> Any:
    return next((row[one] for one in _NAMES[name] if row.get(one) not in (None, "")), None)


def _wanted(row: Mapping[str, Any], name: str) -> Any:
    value = _value(row, name)
    if value is None:
        raise ValueError(f"`{name}` is missing")
    return value


def _moment(value: Any) -> float:
    if isinstance(value, str) and ":" in value:
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("`arrival` is neither seconds nor an ISO 8601 time") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return _number(value, "arrival")


def _duration(value: Any, name: str) -> float:
    seconds = _number(value, name)
    if seconds < 0:
        raise ValueError(f"`{name}` is negative")
    return seconds


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"`{name}` is not a number") from None
    if not math.isfinite(number) or isinstance(value, bool):
        raise ValueError(f"`{name}` is not a number")
    return number
