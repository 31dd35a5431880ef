"""Messages of TDS 7.4 as bytes: PRELOGIN, LOGIN7 and the answer to it; no sockets.

Source: [MS-TDS], sections 2.2.3 (packets), 2.2.6.4 (LOGIN7), 2.2.6.5 (PRELOGIN) and 2.2.7 (tokens).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

SQL_BATCH, REPLY, LOGIN7, PRELOGIN = 1, 4, 16, 18
END_OF_MESSAGE = 0x01
HEADER_LENGTH = 8
# A PRELOGIN or a refusal is far shorter; what claims to be longer is no answer to us.
LONGEST_MESSAGE = 65536
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS = range(5)
_LAST = 0xFF
_TDS_7_4 = 0x74000004
_ERROR, _INFORMATION, _ENVIRONMENT, _ACKNOWLEDGED = 0xAA, 0xAB, 0xE3, 0xAD
_ROUTING = 20
# Tokens whose length follows in two bytes; the others in an answer to LOGIN7 are done (0xFD) and features (0xAE).
_WITH_LENGTH = frozenset({_ERROR, _INFORMATION, _ENVIRONMENT, _ACKNOWLEDGED, 0xED})


class Encryption(IntEnum):
    """What a client wants and what a server answers: `OFF` still encrypts the login itself."""

    OFF = 0
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


class PreloginAnswer(NamedTuple):
    """What a server says before anything else. `version` is (major, minor, build), zeros where it does not tell."""

    version: tuple[int, int, int]
    encryption: Encryption


class ServerError(NamedTuple):
    """An error of the server: its number is the same in every language."""

    number: int
    state: int
    severity: int
    message: str


class LoginAnswer(NamedTuple):
    """The answer to LOGIN7: let in, or refused by `errors`; or sent on to another server."""

    let_in: bool = False
    errors: tuple[ServerError, ...] = ()
    routed_to: tuple[str, int] | None = None


def packet(kind: int, body: bytes) -> bytes:
    """One message in one packet."""
    return struct.pack(">BBHHBB", kind, END_OF_MESSAGE, len(body) + HEADER_LENGTH, 0, 1, 0) + body


def read_header(header: bytes) -> tuple[int, bool, int]:
    """(type, whether the message ends with this packet, length of what follows). ValueError for what is no header of a reply."""
    kind, status, length = struct.unpack(">BBH", header[:4])
    if kind not in (REPLY, PRELOGIN) or status > 1 or not HEADER_LENGTH <= length <= LONGEST_MESSAGE:
        raise ValueError("not a TDS packet")
    return kind, bool(status & END_OF_MESSAGE), length - HEADER_LENGTH


def prelogin(wanted: Encryption) -> bytes:
    """The question before the login: what the server is, and who encrypts what."""
    options = {_VERSION: bytes(6), _ENCRYPTION: bytes([wanted]), _INSTANCE: b"\0", _THREAD: bytes(4), _MARS: b"\0"}
    head, data, start = b"", b"", len(options) * 5 + 1
    for number, value in options.items():
        head += struct.pack(">BHH", number, start + len(data), len(value))
        data += value
    return head + bytes([_LAST]) + data


def read_prelogin(body: bytes) -> PreloginAnswer:
    """ValueError for what is no PRELOGIN."""
    options: dict[int, bytes] = {}
    position = 0
    while position < len(body) and body[position] != _LAST:
        if position + 5 > len(body):
            raise ValueError("a PRELOGIN that is cut short")
        number, offset, length = struct.unpack_from(">BHH", body, position)
        if offset + length > len(body):
            raise ValueError("a PRELOGIN that points beyond itself")
        options[number] = body[offset : offset + length]
        position += 5
    version, encryption = options.get(_VERSION, b""), options.get(_ENCRYPTION, b"")
    if len(version) < 6 or len(encryption) != 1 or encryption[0] > max(Encryption):
        raise ValueError("a PRELOGIN without version and encryption")
    major, minor, build = struct.unpack_from(">BBH", version)
    return PreloginAnswer((major, minor, build), Encryption(encryption[0]))


def login(texts: Mapping[str, str], *, read_only: bool) -> bytes:
    """A LOGIN7 with a password. `texts`: host, user, password, program, server, interface, database."""
    names = ("host", "user", "password", "program", "server", "", "interface", "", "database")
    offsets, data, start = b"", b"", 36 + 4 * len(names) + 6 + 4 * 3 + 4
    for name in names:
        value = texts.get(name, "").encode("utf-16-le", "surrogatepass")
        if name == "password":
            value = bytes((((byte & 0x0F) << 4) | (byte >> 4)) ^ 0xA5 for byte in value)
        offsets += struct.pack("<HH", start + len(data), len(value) // 2)
        data += value
    end = start + len(data)
    # No client id, no SSPI, no database file, no new password.
    offsets += bytes(6) + struct.pack("<HHHHHHI", end, 0, end, 0, end, 0, 0)
    fixed = struct.pack("<IIIIIIBBBBiI", end, _TDS_7_4, 4096, 0, 0, 0, 0xE0, 0x03, 0x20 if read_only else 0, 0, 0, 0)
    return fixed + offsets + data


def batch(sql: str) -> bytes:
    """A question outside any transaction (the header says so)."""
    return struct.pack("<IIHQI", 22, 18, 2, 0, 1) + sql.encode("utf-16-le")


def read_login_answer(body: bytes) -> LoginAnswer:
    """What the tokens say; those that are not known end the reading. ValueError when they are cut short."""
    let_in, errors, routed = False, [], None
    try:
        for token, data in _tokens(body):
            if token == _ACKNOWLEDGED:
                let_in = True
            elif token == _ERROR:
                errors.append(_read_error(data))
            elif token == _ENVIRONMENT and data[:1] == bytes([_ROUTING]):
                routed = _read_routing(data)
    except (struct.error, IndexError) as error:
        raise ValueError("an answer that is cut short") from error
    return LoginAnswer(let_in, tuple(errors), routed)


def _tokens(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(body) and body[position] in _WITH_LENGTH:
        (length,) = struct.unpack_from("<H", body, position + 1)
        data = body[position + 3 : position + 3 + length]
        if len(data) < length:
            raise ValueError("a token that is cut short")
        yield body[position], data
        position += 3 + length


def _read_error(data: bytes) -> ServerError:
    number, state, severity, length = struct.unpack_from("<iBBH", data)
    return ServerError(number, state, severity, data[8 : 8 + 2 * length].decode("utf-16-le", "replace"))


def _read_routing(data: bytes) -> tuple[str, int]:
    """Protocol 0 is TCP; then the port and the server's name."""
    protocol, port, length = struct.unpack_from("<BHH", data, 3)
    if protocol != 0:
        raise ValueError("a route that is not TCP")
    return data[8 : 8 + 2 * length].decode("utf-16-le", "replace"), port
