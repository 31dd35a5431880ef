"""The first messages of a PostgreSQL connection that is not encrypted, as a relay reads, answers and changes them.

The formats are those of the protocol 3.x: https://www.postgresql.org/docs/current/protocol-message-formats.html.
"""

from __future__ import annotations

import struct

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
_MAJOR = 3
NO = b"N"
YES = b"S"
_LONGEST = 10000  # as the server has it (MAX_STARTUP_PACKET_LENGTH)


class FirstMessages:
    """Collects what a client says first, until a whole message is there."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """The client said this."""
        self._data += data

    def next(self) -> tuple[int, bytes] | None:
        """The next whole message, with its code, or None until more has come."""
        if len(self._data) < 8:
            return None
        length, code = struct.unpack_from(">II", self._data)
        if not 8 <= length <= _LONGEST:
            return 0, self.rest()
        if len(self._data) < length:
            return None
        message = bytes(self._data[:length])
        del self._data[:length]
        return code, message

    def rest(self) -> bytes:
        """What has come and was not given out yet; it is gone then."""
        data = bytes(self._data)
        self._data.clear()
        return data


def is_startup(code: int) -> bool:
    """Whether this message begins a session."""
    return code >> 16 == _MAJOR


def with_option(message: bytes, option: str) -> bytes:
    """A startup message with one more `-c name=value` among its options."""
    words = message[8:-1].split(b"\0")[:-1]
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    pairs[b"options"] = pairs.get(b"options", b"") + f" -c {option}".encode()
    body = b"".join(name + b"\0" + value + b"\0" for name, value in pairs.items()) + b"\0"
    return struct.pack(">I", 8 + len(body)) + message[4:8] + body


def error_response(sqlstate: str, words: str) -> bytes:
    """What a server says that ends a connection."""
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": words}
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack(">I", 4 + len(body)) + body
