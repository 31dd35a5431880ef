"""Lines of the recorder's files -> values, one at a time, in bounded memory; format `dbdoctor.recorder/1`.

Nothing that a file holds is trusted: a line that is none, or that says what cannot be, is counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from dbdoctor.model.recorded import BadLine, Header, Record
from dbdoctor.traces.parse import LONGEST_LINE, BadLineError, record_of

_BAD_NAMED = 5
_HEADER = b'{"schema":'


@dataclass(slots=True)
class Reading:
    """What was met on the way: how many lines, how many of them could not be read, and the first of these.

    `cut_short` counts files that end in the middle of a line, as when a process was killed while it wrote.
    """

    lines: int = 0
    bad: int = 0
    cut_short: int = 0
    named: list[BadLine] = field(default_factory=list)

    def refuse(self, file: str, number: int, reason: str) -> None:
        """One more that could not be read."""
        self.bad += 1
        if len(self.named) < _BAD_NAMED:
            self.named.append(BadLine(file, number, reason))


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines, each with its end; of one that is longer than a megabyte, as much as shows that it is."""
    while line := stream.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def records(lines: Iterable[bytes], reading: Reading, file: str = "") -> Iterator[Record]:
    """What the lines say, in their order; `reading` is told of those that say nothing. Each header begins another process."""
    known = False  # whether it is known whose the lines are
    line = b""
    failed: tuple[int, str] | None = None
    for number, line in enumerate(lines, 1):
        reading.lines += 1
        if failed:
            reading.refuse(file, *failed)
            failed = None
        try:
            record = record_of(line)
        except BadLineError as error:
            record = _joined(line)
            if record is None:
                known = known and _HEADER not in line  # what follows is another process's then
                failed = number, str(error)
                continue
            reading.cut_short += 1
        known = known or isinstance(record, Header)
        if known and record is not None:
            yield record
        elif record is not None:
            failed = number, "it belongs to no process: there is no header before it"
    if failed and line.endswith(b"\n"):
        reading.refuse(file, *failed)
    elif failed:
        reading.cut_short += 1


def _joined(line: bytes) -> Header | None:
    """The header that follows a line cut short, as where `cat` joined files."""
    begin = line.find(_HEADER, 1)
    if begin < 0:
        return None
    try:
        record = record_of(line[begin:])
    except BadLineError:
        return None
    return record if isinstance(record, Header) else None


def first_header(stream: BinaryIO) -> Header | None:
    """The header that the file begins with, or None when it does not."""
    try:
        record = record_of(stream.readline(LONGEST_LINE))
    except BadLineError:
        return None
    return record if isinstance(record, Header) else None
