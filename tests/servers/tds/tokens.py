"""The tokens of an answer: errors, results, what changed in the session, and ends."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from tests.servers.tds.errors import SqlError
from tests.servers.tds.values import Column, encode, type_info

DONE, DONE_PROCEDURE, DONE_IN_PROCEDURE = 0xFD, 0xFE, 0xFF
MORE, FAILED, COUNTED, ATTENTION = 0x01, 0x02, 0x10, 0x20
# What a session's environment has, by ENVCHANGE's numbers.
DATABASE, LANGUAGE, PACKET_SIZE, COLLATION = 1, 2, 4, 7
BEGAN, COMMITTED, ROLLED_BACK, WAS_RESET = 8, 9, 10, 18


def short_text(text: str) -> bytes:
    """Up to 255 characters after their number."""
    text = text[:255]
    return bytes([len(text.encode("utf-16-le")) // 2]) + text.encode("utf-16-le")


def long_text(text: str) -> bytes:
    """Up to 65,535 characters after their number."""
    data = text.encode("utf-16-le", "surrogatepass")
    return struct.pack("<H", len(data) // 2) + data


def short_bytes(data: bytes) -> bytes:
    """Up to 255 bytes after their number."""
    return bytes([len(data)]) + data


def _sized(token: int, body: bytes) -> bytes:
    return bytes([token]) + struct.pack("<H", len(body)) + body


def _message(token: int, number: int, text: str, server: str, state: int, severity: int, line: int) -> bytes:
    head = struct.pack("<iBB", number, state, severity)
    return _sized(token, head + long_text(text) + short_text(server) + short_text("") + struct.pack("<i", line))


def error(problem: SqlError, server: str) -> bytes:
    """An error, and those that come with it."""
    return b"".join(
        _message(0xAA, each.number, each.message, server, each.state, each.severity, each.line)
        for each in problem.chain
    )


def information(number: int, text: str, server: str, *, state: int = 1, severity: int = 0) -> bytes:
    """What is said beside the results, such as PRINT's text."""
    return _message(0xAB, number, text, server, state, severity, 1)


def changed(what: int, new: bytes, old: bytes) -> bytes:
    """ENVCHANGE, its values as they stand on the wire."""
    return _sized(0xE3, bytes([what]) + new + old)


def changed_text(what: int, new: str, old: str) -> bytes:
    """ENVCHANGE of a text."""
    return changed(what, short_text(new), short_text(old))


def login_acknowledged(tds_version: int, name: str, version: tuple[int, int, int]) -> bytes:
    """LOGINACK."""
    body = b"\x01" + struct.pack(">I", tds_version) + short_text(name)
    return _sized(0xAD, body + bytes(version[:2]) + struct.pack(">H", version[2]))


def features_acknowledged(accepted: Mapping[int, bytes]) -> bytes:
    """FEATUREEXTACK."""
    return b"\xae" + b"".join(struct.pack("<BI", n, len(data)) + data for n, data in accepted.items()) + b"\xff"


def done(
    token: int = DONE,
    *,
    more: bool = False,
    failed: bool = False,
    count: int | None = None,
    attention: bool = False,
    command: int = 0,
) -> bytes:
    """The end of a statement, a procedure or an answer."""
    status = (MORE if more else 0) | (FAILED if failed else 0) | (ATTENTION if attention else 0)
    status |= COUNTED if count is not None else 0
    return struct.pack("<BHHQ", token, status, command, count or 0)


def columns(shapes: Sequence[Column]) -> bytes:
    """COLMETADATA."""
    words = [b"\x81", struct.pack("<H", len(shapes))]
    for shape in shapes:
        words.append(struct.pack("<IH", 0, 0x01 | 0x20) + type_info(shape.type) + short_text(shape.name))
    return b"".join(words)


def rows(shapes: Sequence[Column], values: Iterable[Sequence[object]]) -> bytes:
    """ROW tokens."""
    types = [shape.type for shape in shapes]
    return b"".join(
        b"\xd1" + b"".join(encode(type_, value) for type_, value in zip(types, row, strict=True)) for row in values
    )


def return_status(value: int = 0) -> bytes:
    """What a procedure returns."""
    return b"\x79" + struct.pack("<i", value)


def return_integer(name: str, value: int) -> bytes:
    """An output parameter, an int."""
    head = b"\xac" + struct.pack("<H", 0) + short_text(name) + b"\x01" + struct.pack("<IH", 0, 0)
    return head + type_info("int") + encode("int", value)
