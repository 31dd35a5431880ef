"""What clients send with a request: headers, texts, and parameters of every type that the drivers use."""

from __future__ import annotations

import datetime as dt
import decimal
import struct
import uuid
from dataclasses import dataclass

from tests.servers.tds.errors import GoneError

FIXED = {
    0x1F: ("int", ""),
    0x30: ("tinyint", "B"),
    0x32: ("bit", "B"),
    0x34: ("smallint", "h"),
    0x38: ("int", "i"),
    0x3B: ("real", "f"),
    0x3E: ("float", "d"),
    0x7F: ("bigint", "q"),
}
SIZED = {0x24: "uniqueidentifier", 0x26: "int", 0x68: "bit", 0x6D: "float", 0x6E: "money", 0x6F: "datetime"}
INTEGERS = {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"}
TIMES = {0x28: "date", 0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}
STRINGS = {0xE7: "nvarchar", 0xEF: "nvarchar", 0xA7: "varchar", 0xAF: "varchar", 0xA5: "varbinary", 0xAD: "varbinary"}
LONG = {0x63: "nvarchar", 0x23: "varchar", 0x22: "varbinary"}
OUTPUT = 0x01


@dataclass(frozen=True)
class Parameter:
    """One parameter of a call; `type` is T-SQL's base type, `value` Python's."""

    name: str
    type: str
    value: object
    output: bool = False


class Reader:
    """Reads a message from its start; GoneError when it is shorter than it says."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        data = self._body[self._position : self._position + count]
        if len(data) < count:
            raise GoneError("a message that is cut short")
        self._position += count
        return data

    def number(self, format_: str) -> int:
        """The next number, little-endian, in `struct`'s letters."""
        return int(struct.unpack(f"<{format_}", self.take(struct.calcsize(f"<{format_}")))[0])

    def text(self, characters: int) -> str:
        """The next characters."""
        return self.take(characters * 2).decode("utf-16-le", "replace")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._body) - self._position)

    def skip_headers(self) -> None:
        """ALL_HEADERS, of which nothing is needed."""
        self.take(self.number("I") - 4)

    def peek(self) -> int | None:
        """The next byte, which stays; None at the end."""
        return self._body[self._position] if self._position < len(self._body) else None


def read_parameter(reader: Reader) -> Parameter:
    """A parameter of a remote call."""
    name = reader.text(reader.number("B"))
    status = reader.number("B")
    type_, value = _read_value(reader)
    return Parameter(name, type_, value, bool(status & OUTPUT))


def _read_value(reader: Reader) -> tuple[str, object]:
    kind = reader.number("B")
    if kind in FIXED:
        name, letter = FIXED[kind]
        return name, struct.unpack(f"<{letter}", reader.take(struct.calcsize(letter)))[0] if letter else None
    if kind in SIZED:
        return _read_sized(reader, kind)
    if kind in TIMES:
        return TIMES[kind], _read_time(reader, TIMES[kind])
    if kind in {0x6A, 0x6C}:
        return _read_decimal(reader)
    if kind in STRINGS:
        return STRINGS[kind], _read_string(reader, STRINGS[kind])
    if kind in LONG:
        reader.take(4 if kind == 0x22 else 9)
        length = reader.number("I")
        return LONG[kind], None if length == 0xFFFFFFFF else _decoded(LONG[kind], reader.take(length))
    raise GoneError(f"a parameter of the unknown type 0x{kind:02x}")


def _read_sized(reader: Reader, kind: int) -> tuple[str, object]:
    size = reader.number("B")
    name = INTEGERS[size] if kind == 0x26 else SIZED[kind]
    data = reader.take(reader.number("B"))
    if not data:
        return name, None
    if kind in {0x26, 0x68}:
        return name, int.from_bytes(data, "little", signed=len(data) > 1)
    if kind == 0x6D:
        return name, struct.unpack("<f" if len(data) == 4 else "<d", data)[0]
    if kind == 0x24:
        return name, uuid.UUID(bytes_le=data)
    if kind == 0x6E:
        high, low = struct.unpack("<iI", data) if len(data) == 8 else (0, struct.unpack("<i", data)[0])
        return name, decimal.Decimal(high * 2**32 + low).scaleb(-4)
    days, ticks = struct.unpack("<iI" if len(data) == 8 else "<HH", data)
    seconds = ticks / 300 if len(data) == 8 else ticks * 60
    return name, dt.datetime(1900, 1, 1) + dt.timedelta(days=days, seconds=seconds)  # noqa: DTZ001 - local by definition


def _read_time(reader: Reader, name: str) -> object:
    scale = reader.number("B") if name != "date" else 0
    data = reader.take(reader.number("B"))
    if not data:
        return None
    if name == "date":
        return dt.date(1, 1, 1) + dt.timedelta(days=int.from_bytes(data, "little"))
    width = 3 if scale <= 2 else 4 if scale <= 4 else 5
    micro = int.from_bytes(data[:width], "little") * 10**6 // 10**scale
    moment = dt.datetime(1, 1, 1) + dt.timedelta(microseconds=micro)  # noqa: DTZ001 - none by definition
    if name == "time":
        return moment.time()
    moment += dt.timedelta(days=int.from_bytes(data[width : width + 3], "little"))
    if name == "datetime2":
        return moment
    offset = dt.timezone(dt.timedelta(minutes=struct.unpack("<h", data[-2:])[0]))
    return moment.replace(tzinfo=dt.UTC).astimezone(offset)


def _read_decimal(reader: Reader) -> tuple[str, object]:
    _, _, scale = reader.number("B"), reader.number("B"), reader.number("B")
    data = reader.take(reader.number("B"))
    if not data:
        return "decimal", None
    value = decimal.Decimal(int.from_bytes(data[1:], "little")).scaleb(-scale)
    return "decimal", value if data[0] else -value


def _read_string(reader: Reader, name: str) -> object:
    size = reader.number("H")
    if name != "varbinary":
        reader.take(5)
    if size == 0xFFFF:
        return _decoded(name, _read_pieces(reader))
    length = reader.number("H")
    return None if length == 0xFFFF else _decoded(name, reader.take(length))


def _read_pieces(reader: Reader) -> bytes | None:
    if reader.number("Q") == 0xFFFFFFFFFFFFFFFF:
        return None
    pieces = []
    while length := reader.number("I"):
        pieces.append(reader.take(length))
    return b"".join(pieces)


def _decoded(name: str, data: bytes | None) -> object:
    if data is None or name == "varbinary":
        return data
    return data.decode("utf-16-le", "replace") if name == "nvarchar" else data.decode("cp1252", "replace")
