"""PRELOGIN: what client and server can do, and above all who encrypts what."""

from __future__ import annotations

import struct

VERSION, ENCRYPTION, INSTANCE, THREAD, MARS, TRACE, FEDERATED = range(7)
END = 0xFF
OFF, ON, NOT_SUPPORTED, REQUIRED = range(4)
# How a server may be set, as `TdsServer(encryption=...)` says it.
NAMES = {"off": OFF, "on": ON, "not-supported": NOT_SUPPORTED, "required": REQUIRED}


def parse(body: bytes) -> dict[int, bytes]:
    """A client's options by their number; ValueError when that is no PRELOGIN."""
    options, position = {}, 0
    while position < len(body) and body[position] != END:
        if position + 5 > len(body):
            raise ValueError("a PRELOGIN that is cut short")
        number, offset, length = struct.unpack_from(">BHH", body, position)
        options[number] = body[offset : offset + length]
        position += 5
    if VERSION not in options:
        raise ValueError("a PRELOGIN without a version")
    return options


def agree(wanted: int, setting: str) -> int:
    """The server's answer to what the client wants of encryption.

    "off": as the client likes; "on" likewise, and it would have it on; "required": all is encrypted whatever the client
    says; "not-supported": the server cannot.
    """
    have = NAMES[setting]
    if have == NOT_SUPPORTED:
        return NOT_SUPPORTED
    if have == REQUIRED:
        return ON if wanted in {ON, REQUIRED} else REQUIRED
    if have == ON:
        return ON if wanted in {OFF, ON, REQUIRED} else NOT_SUPPORTED
    return {OFF: OFF, ON: ON, NOT_SUPPORTED: NOT_SUPPORTED, REQUIRED: ON}.get(wanted, OFF)


def answer(asked: dict[int, bytes], encryption: int, version: tuple[int, int, int]) -> bytes:
    """The reply's body."""
    options = {
        VERSION: struct.pack(">BBHH", version[0], version[1], version[2], 0),
        ENCRYPTION: bytes([encryption]),
        INSTANCE: b"\0",
        THREAD: b"",
        MARS: b"\0",
    }
    if FEDERATED in asked:
        options[FEDERATED] = b"\0"
    head, data, start = b"", b"", len(options) * 5 + 1
    for number, value in options.items():
        head += struct.pack(">BHH", number, start + len(data), len(value))
        data += value
    return head + bytes([END]) + data
