"""T-SQL types on the wire: their TYPE_INFO, and values as the server sends them."""

from __future__ import annotations

import datetime as dt
import decimal
import struct
import uuid
from dataclasses import dataclass

COLLATION = bytes.fromhex("0904d00034")
INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
FIXED_INFO = {
    "bit": b"\x68\x01",
    "float": b"\x6d\x08",
    "real": b"\x6d\x04",
    "datetime": b"\x6f\x08",
    "date": b"\x28",
    "uniqueidentifier": b"\x24\x10",
    "sql_variant": b"\x62" + struct.pack("<I", 8009),
}
STRINGS = {"nvarchar": b"\xe7", "varchar": b"\xa7", "varbinary": b"\xa5"}
TIMES = {"time": b"\x29", "datetime2": b"\x2a", "datetimeoffset": b"\x2b"}
MAX = 0xFFFF


@dataclass(frozen=True)
class Column:
    """A result's column: its name, and its type as T-SQL writes it, such as `nvarchar(128)`."""

    name: str
    type: str


def split(type_: str) -> tuple[str, list[str]]:
    """`decimal(18,2)` as "decimal", ["18", "2"]."""
    base, _, rest = type_.lower().replace(" ", "").partition("(")
    return base, rest.rstrip(")").split(",") if rest else []


def type_info(type_: str) -> bytes:
    """TYPE_INFO; ValueError for a type that the server does not speak."""
    base, arguments = split(type_)
    if base in INTEGERS:
        return bytes([0x26, INTEGERS[base]])
    if base in FIXED_INFO:
        return FIXED_INFO[base]
    if base in TIMES:
        return TIMES[base] + bytes([_scale(arguments)])
    if base in STRINGS:
        size = MAX if arguments[:1] == ["max"] else int(arguments[0]) * (2 if base == "nvarchar" else 1)
        return STRINGS[base] + struct.pack("<H", size) + (b"" if base == "varbinary" else COLLATION)
    if base == "decimal":
        precision, scale = int(arguments[0]), int(arguments[1])
        return bytes([0x6A, _decimal_bytes(precision) + 1, precision, scale])
    raise ValueError(type_)


def encode(type_: str, value: object) -> bytes:
    """One value of a row; None is NULL."""
    base, arguments = split(type_)
    if base in STRINGS:
        return _encode_string(base, arguments, value)
    if base == "sql_variant":
        return _encode_variant(value)
    if value is None:
        return b"\0"
    data = _encode_fixed(base, arguments, value)
    return bytes([len(data)]) + data


def _encode_fixed(base: str, arguments: list[str], value: object) -> bytes:
    match base:
        case "tinyint" | "smallint" | "int" | "bigint":
            return int(str(int(value))).to_bytes(INTEGERS[base], "little", signed=base != "tinyint")  # type: ignore[call-overload]
        case "bit":
            return b"\x01" if value else b"\0"
        case "float" | "real":
            return bytes(struct.pack("<d" if base == "float" else "<f", value))
        case "uniqueidentifier":
            return uuid.UUID(str(value)).bytes_le
        case "decimal":
            return _encode_decimal(int(arguments[0]), int(arguments[1]), decimal.Decimal(str(value)))
        case "datetime":
            return _encode_datetime(_as_datetime(value))
        case "date":
            return _days(value if isinstance(value, dt.date) else _as_datetime(value))
        case "time":
            assert isinstance(value, dt.time)
            return _time(value, _scale(arguments))
        case "datetime2":
            moment = _as_datetime(value)
            return _time(moment.time(), _scale(arguments)) + _days(moment)
        case "datetimeoffset":
            return _encode_offset(_as_datetime(value), _scale(arguments))
    raise ValueError(base)


def _encode_string(base: str, arguments: list[str], value: object) -> bytes:
    unlimited = arguments[:1] == ["max"]
    if value is None:
        return b"\xff" * 8 if unlimited else b"\xff\xff"
    if base == "varbinary":
        data = _as_bytes(value)
    elif base == "nvarchar":
        data = str(value).encode("utf-16-le", "surrogatepass")
    else:
        data = str(value).encode("cp1252", "replace")
    if unlimited:
        piece = struct.pack("<I", len(data)) + data if data else b""
        return struct.pack("<Q", len(data)) + piece + struct.pack("<I", 0)
    return struct.pack("<H", len(data)) + data


def _as_bytes(value: object) -> bytes:
    assert isinstance(value, bytes | bytearray | memoryview)
    return bytes(value)


def _encode_variant(value: object) -> bytes:
    if value is None:
        return struct.pack("<I", 0)
    if isinstance(value, int):
        body = b"\x38\x00" + struct.pack("<i", value)
    else:
        text = str(value).encode("utf-16-le")
        body = b"\xe7\x07" + COLLATION + struct.pack("<H", 8000) + text
    return struct.pack("<I", len(body)) + body


def _encode_decimal(precision: int, scale: int, value: decimal.Decimal) -> bytes:
    whole = int(value.scaleb(scale).to_integral_value())
    return bytes([0 if whole < 0 else 1]) + abs(whole).to_bytes(_decimal_bytes(precision), "little")


def _decimal_bytes(precision: int) -> int:
    return 4 if precision <= 9 else 8 if precision <= 19 else 12 if precision <= 28 else 16


def _encode_datetime(moment: dt.datetime) -> bytes:
    days = (moment.date() - dt.date(1900, 1, 1)).days
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    ticks = round(seconds * 300)
    if ticks >= 300 * 86400:
        days, ticks = days + 1, 0
    return struct.pack("<iI", days, ticks)


def _encode_offset(moment: dt.datetime, scale: int) -> bytes:
    offset = moment.utcoffset() or dt.timedelta(0)
    utc = moment.astimezone(dt.UTC)
    return _time(utc.time(), scale) + _days(utc) + struct.pack("<h", int(offset.total_seconds() // 60))


def _scale(arguments: list[str]) -> int:
    return int(arguments[0]) if arguments else 7


def _time(value: dt.time, scale: int) -> bytes:
    micro = ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
    units: int = micro // 10 ** (6 - scale) if scale <= 6 else micro * 10 ** (scale - 6)
    return units.to_bytes(3 if scale <= 2 else 4 if scale <= 4 else 5, "little")


def _days(value: dt.date) -> bytes:
    day = value.date() if isinstance(value, dt.datetime) else value
    return (day - dt.date(1, 1, 1)).days.to_bytes(3, "little")


def _as_datetime(value: object) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    return dt.datetime.fromisoformat(str(value))
