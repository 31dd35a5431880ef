"""What answers on a port that is not PostgreSQL's: named from its first bytes, or by asking it in its own protocol.

A service that greets first (SSH, MySQL, SMTP) shows itself; one that waits for its own kind of question (HTTP, TLS,
SQL Server) is asked on a connection of its own, only after it has failed to answer PostgreSQL's.
"""

from __future__ import annotations

import socket

from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.connect import connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address

# TLS 1.2 ClientHello with one cipher suite, no extensions: enough to make any TLS server answer or alert (RFC 5246, 7.4.1.2).
_CLIENT_HELLO = bytes.fromhex("160301002d010000290303") + b"\0" * 32 + bytes.fromhex("000002c02f0100")
# MS-TDS 2.2.6.5 PRELOGIN: packet type 18, one option (VERSION), terminator, six bytes of version.
_TDS_PRELOGIN = bytes.fromhex("12010014000000000000060006ff000000000000")
_QUESTIONS = (b"GET / HTTP/1.0\r\n\r\n", _CLIENT_HELLO, _TDS_PRELOGIN)
# PostgreSQL's SSLRequest; it answers with one letter, and to other questions by closing.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def name_service(data: bytes) -> str | None:
    """The service that these first bytes belong to, for people; None when they tell nothing."""
    text = data[:512]
    for name, holds in (
        (
            "an HTTP server",
            text[:5] == b"HTTP/" or text[:14].lower() in (b"<!doctype html", b"<html>") or b"400 Bad" in text,
        ),
        ("an SSH server", text[:4] == b"SSH-"),
        ("a TLS server (such as HTTPS)", _is_tls(text)),
        ("a MySQL or MariaDB server", _is_mysql(text)),
        (
            "Microsoft SQL Server (or another TDS server)",
            text[:1] == b"\x04" and text[1:2] in (b"\0", b"\1") and len(text) >= 8,
        ),
        ("an SMTP or FTP server", text[:4] in (b"220 ", b"220-")),
        (
            "a Redis server",
            text[:1] == b"-" and (b"ERR" in text[:8] or b"NOAUTH" in text[:12] or b"DENIED" in text[:12]),
        ),
    ):
        if holds:
            return name
    return None


def ask_around(address: Address, deadline: Deadline, *, postgresql: bool = False) -> str | None:
    """Ask, on connections of their own and within 0.7 s, in HTTP, TLS and TDS; None when nothing says what it is.

    With `postgresql`, whether it is one is asked before all else.
    """
    until = deadline.within(min(0.7, deadline.remaining))
    if postgresql and _is_postgresql(address, until):
        return "PostgreSQL (or a pooler for it)"
    for question in _QUESTIONS:
        sock = connect_one(address, until).socket
        if sock is None:
            return None
        name = name_service(_ask(sock, question, until.part(0.5)))
        if name:
            return name
    return None


def _is_postgresql(address: Address, until: Deadline) -> bool:
    sock = connect_one(address, until).socket
    return sock is not None and _ask(sock, _SSL_REQUEST, until.part(0.3)) in (b"S", b"N")


def _ask(sock: socket.socket, question: bytes, until: Deadline) -> bytes:
    channel = Channel(sock, until)
    try:
        channel.send(question)
        first = channel.receive(512)
        return first if name_service(first) else first + channel.receive_for(until.remaining, 256)
    except (ClosedError, DeadlinePassedError):
        return b""
    finally:
        channel.close()


def _is_tls(text: bytes) -> bool:
    return text[:1] in (b"\x15", b"\x16") and text[1:2] == b"\x03" and text[2:3] <= b"\x04"


def _is_mysql(text: bytes) -> bool:
    """A handshake packet: three bytes of length, sequence 0, then version 10 or an error (255)."""
    return len(text) >= 5 and text[1:4] == b"\0\0\0" and text[4:5] in (b"\x0a", b"\xff")
