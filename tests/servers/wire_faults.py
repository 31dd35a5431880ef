"""What a PostgreSQL server, or whatever stands before it, does wrong: ends, silences, floods, broken messages."""

from __future__ import annotations

import struct

from tests.servers.wire import Conversation, Handler
from tests.servers.wire_postgres import (
    CLEARTEXT,
    MD5,
    OK,
    SASL,
    authentication,
    error,
    fatal,
    logged_in,
    message,
    read_startup,
)
from tests.servers.wire_services import SERVICES
from tests.servers.wire_tls import speak_tls

# A length that no message has.
LONG = 0x7FFFFFF0


def _says(data: bytes, *, asks: bool = False, tls: bool = False, then: str = "silent") -> Handler:
    """After the start-up: `data`; with `asks` reads one answer; then "silent", "close" or "reset"."""

    def handler(talk: Conversation) -> None:
        read_startup(talk, tls=tls)
        talk.send(data)
        if asks:
            talk.read_some()
        {"silent": talk.stay_silent, "close": talk.close, "reset": talk.reset}[then]()

    return handler


def _answers_first(data: bytes, then: str = "silent") -> Handler:
    """`data` in answer to the client's very first bytes, whatever they are."""

    def handler(talk: Conversation) -> None:
        talk.read_some()
        talk.send(data)
        {"silent": talk.stay_silent, "close": talk.close, "reset": talk.reset}[then]()

    return handler


def _repeats(data: bytes, pause: float = 0.0) -> Handler:
    """After AuthenticationOk: `data` again and again, for ever."""

    def handler(talk: Conversation) -> None:
        read_startup(talk)
        talk.send(authentication(OK))
        while True:
            talk.send(data)
            talk.wait(pause)

    return handler


def drip(data: bytes, *, interval: float = 1.0, before_startup: bool = False) -> Handler:
    """`data` at one byte each `interval` seconds, then zero bytes at the same pace for ever."""

    def handler(talk: Conversation) -> None:
        if before_startup:
            talk.read_some()
        else:
            read_startup(talk)
        for byte in data:
            talk.send(bytes([byte]))
            talk.wait(interval)
        while True:
            talk.send(b"\0")
            talk.wait(interval)

    return handler


def _silent_in_tls(talk: Conversation) -> None:
    talk.read_some()
    talk.send(b"S")
    talk.stay_silent()


def _closes_in_tls(talk: Conversation) -> None:
    talk.read_some()
    talk.send(b"S")
    talk.read_some()


def _closes_after_tls(talk: Conversation) -> None:
    talk.read(8)
    talk.send(b"S")
    speak_tls(talk)


def _endless(talk: Conversation) -> None:
    read_startup(talk)
    talk.send(b"E" + struct.pack(">I", LONG) + b"SFATAL\0C53300\0M")
    while True:
        talk.send(b"x" * 65536)


SASL_MECHANISMS = b"SCRAM-SHA-256\0\0"

ENDS: dict[str, Handler] = {
    "closes-at-once": lambda talk: talk.close(),
    "resets-at-once": lambda talk: talk.reset(),
    "closes-after-ssl-request": _answers_first(b"", "close"),
    "resets-after-ssl-request": _answers_first(b"", "reset"),
    "closes-in-tls": _closes_in_tls,
    "closes-after-tls": _closes_after_tls,
    "closes-after-startup": _says(b"", then="close"),
    "resets-after-startup": _says(b"", then="reset"),
    "closes-after-password": _says(authentication(CLEARTEXT), asks=True, then="close"),
    "closes-after-authentication-ok": _says(authentication(OK), then="close"),
}

SILENCES: dict[str, Handler] = {
    "silent": lambda talk: talk.stay_silent(),
    "silent-in-tls": _silent_in_tls,
    "silent-after-no-tls": _answers_first(b"N"),
    "silent-after-startup": _says(b""),
    "silent-after-startup-over-tls": _says(b"", tls=True),
    "silent-after-cleartext-password": _says(authentication(CLEARTEXT)),
    "silent-after-md5-password": _says(authentication(MD5, b"salt")),
    "silent-after-sasl": _says(authentication(SASL, SASL_MECHANISMS)),
    "silent-after-authentication-ok": _says(authentication(OK)),
    "silent-after-login": _says(logged_in()),
    "drips-authentication": drip(authentication(SASL, SASL_MECHANISMS * 50)),
    "drips-error": drip(error(fatal("53300", "sorry, too many clients already " * 20))),
    "drips-before-startup": drip(error(fatal("53300", "sorry " * 20)), before_startup=True),
    "drips-notices": _repeats(error(fatal("00000", "wait"), kind=b"N"), 1.0),
}

FLOODS: dict[str, Handler] = {
    "endless-error": _endless,
    "megabyte-error": _says(error(fatal("53300", "x" * 1_000_000)), then="close"),
    "endless-notices": _repeats(error(fatal("00000", "again"), kind=b"N")),
    "endless-parameters": _repeats(message(b"S", b"application_name\0x\0")),
    "huge-length": _says(b"E" + struct.pack(">I", LONG) + b"SFATAL\0"),
    "negative-length": _says(b"E\xff\xff\xff\xfeSFATAL\0"),
    "tiny-length": _says(b"E\0\0\0\x01SFATAL\0C53300\0\0"),
    "unknown-authentication": _says(authentication(4711)),
    "unknown-message": _says(message(b"?", b"what")),
    "error-without-end": _says(message(b"E", b"SFATAL\0C28000\0Mno end"), then="close"),
    "error-without-fields": _says(message(b"E", b"\0"), then="close"),
    "error-cut-short": _says(error(fatal("28000", "cut"))[:-9], then="close"),
    # As a postmaster that cannot fork says it: protocol 2, a bare string.
    "error-for-ssl-request": _answers_first(b"EFATAL:  could not fork new process\n\0", "close"),
    "bad-sasl-mechanism": _says(authentication(SASL, b"NO-SUCH-THING\0\0")),
}

REFUSALS: dict[str, Handler] = {
    "says-too-many-clients": _says(error(fatal("53300", "sorry, too many clients already")), then="close"),
    "says-it-in-latin1": _says(
        error(fatal("28000", "Rolle »müller« existiert nicht", severity="FATAL"), encoding="latin-1"), then="close"
    ),
    "says-it-hostile": _says(
        error(fatal("28000", "\x1b[2J\x1b]0;owned\x07\r\nerror: all is well\u202e")), then="close"
    ),
    "says-it-without-code": _says(error({"S": "ERROR", "M": "pgbouncer cannot connect to server"}), then="close"),
}


CATALOGUE: dict[str, Handler] = {**SERVICES, **ENDS, **SILENCES, **FLOODS, **REFUSALS}
