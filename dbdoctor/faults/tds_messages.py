"""Messages of TDS 7 in a session that is not encrypted, as a relay reads and answers them.

Formats: [MS-TDS] 2.2.3 (packets), 2.2.7.10 (ERROR), 2.2.7.6 (DONE).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dbdoctor.probe.tds.wire import END_OF_MESSAGE, HEADER_LENGTH, REPLY, SQL_BATCH, packet

RPC = 3
_KINDS = frozenset({SQL_BATCH, RPC, 6, 7, 14, 16, 18})
_ERROR, _DONE = 0xAA, 0xFD
_FAILED = 0x02


class ClientMessage(NamedTuple):
    """A whole message: its kind (1 a batch, 3 a remote call, 14 the transaction manager's), and its bytes on the wire."""

    kind: int
    data: bytes


class ClientMessages:
    """Collects what a client says until whole messages are there."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[ClientMessage]:
        """The client said this; gives the messages that are whole now. What is not TDS is one message of kind 0."""
        self._data += data
        while self._data:
            length = self._length()
            if length is None:
                return
            kind = self._data[0] if self._data[0] in _KINDS else 0
            message = bytes(self._data[:length])
            del self._data[:length]
            yield ClientMessage(kind, message)

    def _length(self) -> int | None:
        if self._data[0] not in _KINDS:
            return len(self._data)
        position = 0
        while len(self._data) >= position + HEADER_LENGTH:
            _, status, length = struct.unpack_from(">BBH", self._data, position)
            position += max(length, HEADER_LENGTH)
            if status & END_OF_MESSAGE:
                return position if len(self._data) >= position else None
        return None


def error_reply(number: int, words: str, *, state: int = 1, severity: int = 17) -> bytes:
    """A server's whole answer to a statement that failed; the session goes on."""
    text = words.encode("utf-16-le")
    body = struct.pack("<iBBH", number, state, severity, len(words)) + text + b"\0\0" + struct.pack("<i", 1)
    tokens = bytes([_ERROR]) + struct.pack("<H", len(body)) + body
    tokens += bytes([_DONE]) + struct.pack("<HHQ", _FAILED, 0, 0)
    return packet(REPLY, tokens)
