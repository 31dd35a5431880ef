"""Services that are not PostgreSQL, as they answer on the port where somebody took them for it."""

from __future__ import annotations

import random
import struct

from tests.servers.wire import Conversation, Handler
from tests.servers.wire_tls import speak_tls


def http(talk: Conversation) -> None:
    """As nginx answers what is no request."""
    talk.read_some()
    body = b"<html><head><title>400 Bad Request</title></head></html>\r\n"
    head = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nConnection: close\r\n"
    talk.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def ssh(talk: Conversation) -> None:
    """Speaks first, and hangs up on what is no banner."""
    talk.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
    talk.read_some()
    talk.send(b"Invalid SSH identification string.\r\n")


def smtp(talk: Conversation) -> None:
    """Speaks first, and stays."""
    talk.send(b"220 mail.example.org ESMTP Postfix\r\n")
    talk.read_some()
    talk.send(b"500 5.5.2 Error: bad syntax\r\n")
    talk.stay_silent()


def redis(talk: Conversation) -> None:
    """Answers garbage with an error line."""
    talk.read_some()
    talk.send(b"-ERR unknown command\r\n")
    talk.stay_silent()


def mysql_packet(sequence: int, payload: bytes) -> bytes:
    """A packet of MySQL's protocol: three bytes of length, little end first, and a sequence number."""
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


def mysql(talk: Conversation) -> None:
    """The handshake greeting (protocol 10) that MariaDB sends first, then its error for bad packets."""
    greeting = b"\x0a5.5.5-10.11.11-MariaDB-0+deb12u1\0" + struct.pack("<I", 42) + b"12345678\0" + b"\xfe\xf7\x2d\x02\0"
    greeting += b"\xff\x81\x15" + b"\0" * 6 + b"\x1d\0\0\0" + b"123456789012\0" + b"mysql_native_password\0"
    talk.send(mysql_packet(0, greeting))
    talk.read_some()
    talk.send(mysql_packet(1, b"\xff\x13\x04#08S01Bad handshake"))


def tls(talk: Conversation) -> None:
    """A server that speaks TLS from the first byte, and OpenSSL's own answer to what is no TLS."""
    speak_tls(talk)
    talk.stay_silent()


def tls_alert(talk: Conversation) -> None:
    """The same from a stack that answers with the alert `protocol_version`, fatal."""
    if talk.read_some()[0] != 0x16:
        talk.send(b"\x15\x03\x03\x00\x02\x02\x46")


def tds(talk: Conversation) -> None:
    """SQL Server: answers a PRELOGIN packet (type 0x12) only, closes on any other."""
    if talk.read_some()[0] == 0x12:
        options = b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff" + b"\x10\x00\x0f\xa0\x00\x00" + b"\x02"
        talk.send(b"\x04\x01" + struct.pack(">H", 8 + len(options)) + b"\0\0\1\0" + options)
        talk.stay_silent()


def echo(talk: Conversation) -> None:
    """Sends back whatever comes."""
    while True:
        talk.send(talk.read_some())


def random_bytes(seed: int, *, speak_first: bool) -> Handler:
    """Noise: 512 bytes, the same for the same seed, then silence."""

    def handler(talk: Conversation) -> None:
        if not speak_first:
            talk.read_some()
        talk.send(random.Random(seed).randbytes(512))
        talk.stay_silent()

    return handler


def banner(text: bytes) -> Handler:
    """Any bytes, sent first; then silence."""

    def handler(talk: Conversation) -> None:
        talk.send(text)
        talk.stay_silent()

    return handler


SERVICES: dict[str, Handler] = {
    "http": http,
    "ssh": ssh,
    "smtp": smtp,
    "redis": redis,
    "mysql": mysql,
    "tls": tls,
    "tls-alert": tls_alert,
    "tds": tds,
    "echo": echo,
    "random-bytes-first": random_bytes(1, speak_first=True),
    "random-bytes": random_bytes(2, speak_first=False),
    "zero-bytes": banner(b"\0" * 512),
}
