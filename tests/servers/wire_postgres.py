"""PostgreSQL's protocol as far as the fake servers speak it: messages out, the start-up in."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.servers.certificates import Pair
from tests.servers.wire import ClientGoneError, Conversation, Handler
from tests.servers.wire_tls import speak_tls

# https://www.postgresql.org/docs/current/protocol-message-formats.html
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
OK, CLEARTEXT, MD5, SASL = 0, 3, 5, 10


def message(kind: bytes, payload: bytes = b"") -> bytes:
    """One message; the length counts itself but not the kind."""
    return kind + struct.pack(">I", len(payload) + 4) + payload


def authentication(code: int, rest: bytes = b"") -> bytes:
    """An authentication request (`R`)."""
    return message(b"R", struct.pack(">I", code) + rest)


def error(fields: Mapping[str, str | bytes], *, kind: bytes = b"E", encoding: str = "utf-8") -> bytes:
    """An ErrorResponse (or with `kind=b"N"` a NoticeResponse): fields by their letter: S, V, C, M, D, H ..."""
    parts = (k.encode() + (v if isinstance(v, bytes) else v.encode(encoding)) + b"\0" for k, v in fields.items())
    return message(kind, b"".join(parts) + b"\0")


def fatal(code: str, text: str | bytes, severity: str | bytes = "FATAL", **more: str | bytes) -> dict[str, str | bytes]:
    """The fields of an error as PostgreSQL 9.6 and later send them."""
    return {"S": severity, "V": "FATAL", "C": code, "M": text, "F": "postmaster.c", "L": "2394", "R": "Backend", **more}


def logged_in(parameters: Mapping[str, str] | None = None) -> bytes:
    """All that a server says between the right password and the first query."""
    known = {"server_version": "17.2", "client_encoding": "UTF8", "server_encoding": "UTF8", "integer_datetimes": "on"}
    reports = {**known, "standard_conforming_strings": "on", "DateStyle": "ISO, MDY", "TimeZone": "UTC"}
    reports.update(parameters or {})
    status = b"".join(message(b"S", f"{name}\0{value}\0".encode()) for name, value in reports.items())
    return authentication(OK) + status + message(b"K", struct.pack(">II", 4711, 42)) + message(b"Z", b"I")


def read_startup(talk: Conversation, *, pair: Pair | None = None, tls: bool = False) -> dict[str, str]:
    """Answers requests for encryption (TLS when `tls`, else "no") and gives the start-up message's parameters."""
    while True:
        (length,) = struct.unpack(">I", talk.read(4))
        if not 8 <= length <= 10_000:
            raise ClientGoneError
        (code,) = struct.unpack(">I", talk.read(4))
        rest = talk.read(length - 8)
        if code == SSL_REQUEST and tls:
            talk.send(b"S")
            speak_tls(talk, pair)
        elif code in {SSL_REQUEST, GSS_REQUEST}:
            talk.send(b"N")
        elif code == CANCEL_REQUEST:
            raise ClientGoneError
        else:
            words = rest.decode("utf-8", "replace").rstrip("\0").split("\0")
            return dict(zip(words[::2], words[1::2], strict=False))


def answers_error(
    fields: Mapping[str, str | bytes], *, encoding: str = "utf-8", tls: bool = False, after_login: bool = False
) -> Handler:
    """A server that refuses with this error: at the start-up message, or in place of the end of the login."""

    def handler(talk: Conversation) -> None:
        read_startup(talk, tls=tls)
        if after_login:
            talk.send(authentication(OK))
        talk.send(error(fields, encoding=encoding))

    return handler


def asks_for_password_then_errors(fields: Mapping[str, str | bytes], *, encoding: str = "utf-8") -> Handler:
    """A server that takes a cleartext password before it refuses with this error."""

    def handler(talk: Conversation) -> None:
        read_startup(talk)
        talk.send(authentication(CLEARTEXT))
        talk.read_some()
        talk.send(error(fields, encoding=encoding))

    return handler
