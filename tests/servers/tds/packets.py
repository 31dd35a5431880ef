"""Framing: a client's connection, read and written in messages, in TLS once that was agreed, and interruptible."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.tds.errors import AttentionError, GoneError

SQL_BATCH, RPC, REPLY, ATTENTION, TRANSACTION_MANAGER, LOGIN7, PRELOGIN = 1, 3, 4, 6, 14, 16, 18
END_OF_MESSAGE = 0x01
TLS_HANDSHAKE = 0x16
# Bits of a request's first packet: the session is to be reset before, with or without its transaction.
RESET, RESET_KEEPING_TRANSACTION = 0x08, 0x10
HEADER = struct.Struct(">BBHHBB")


@dataclass(frozen=True)
class Message:
    """One message, put together from its packets."""

    kind: int
    status: int
    body: bytes


class Channel:
    """One client's connection. All of it belongs to the conversation's thread, except `wake`, `also_check` and `cut`."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.packet_size = 4096
        self.session_id = 0
        # Seconds between two bytes, for an answer at a trickle.
        self.pace = 0.0
        self.ignores_attention = False
        # Called whenever the thread would wait: raises when the conversation is to end.
        self.also_check: Callable[[], None] = lambda: None
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._buffer = bytearray()
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._lock = threading.Lock()
        self._closed = False

    # --- from other threads

    def wake(self) -> None:
        """Has the thread look again at what it waits for."""
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:
                self._waker.send(b"!")

    def cut(self) -> None:
        """Ends whatever the thread is sending or reading."""
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:
                self.socket.shutdown(socket.SHUT_RDWR)
        self.wake()

    # --- reading

    def read_message(self) -> Message:
        """The next message; GoneError at the client's end."""
        while (message := self._taken()) is None:
            self._wait_for_bytes(None)
        return message

    def wait(self, until: Callable[[], bool], seconds: float | None = None) -> bool:
        """Waits while the client waits for its answer: until `until()`, True, or the time is over, False.

        AttentionError when the client no longer wants it.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            self.also_check()
            if until():
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if (message := self._taken()) is not None:
                if message.kind == ATTENTION and not self.ignores_attention:
                    raise AttentionError
                continue
            self._wait_for_bytes(left)

    def stay_silent(self) -> None:
        """Reads and says nothing until the client leaves or the test is over."""
        while True:
            self._buffer.clear()
            self._wait_for_bytes(None)

    def _taken(self) -> Message | None:
        """A whole message out of the buffer, if there is one."""
        position, body, first = 0, b"", None
        while len(self._buffer) - position >= HEADER.size:
            kind, status, length, *_ = HEADER.unpack_from(self._buffer, position)
            if length < HEADER.size:
                raise GoneError("that is not TDS")
            if len(self._buffer) - position < length:
                return None
            first = status if first is None else first
            body += bytes(self._buffer[position + HEADER.size : position + length])
            position += length
            if status & END_OF_MESSAGE:
                del self._buffer[:position]
                return Message(kind, first, body)
        return None

    def _wait_for_bytes(self, seconds: float | None) -> None:
        self.also_check()
        try:
            ready = select.select([self.socket, self._woken], [], [], seconds)[0]
            if self._woken in ready:
                self._woken.recv(4096)
                self.also_check()
            data = self.socket.recv(65536) if self.socket in ready else None
        except (OSError, ValueError) as error:
            self.also_check()
            raise GoneError(str(error)) from error
        if data == b"":
            self.also_check()
            raise GoneError("the client closed")
        if data and self._tls is not None:
            self._incoming.write(data)
            self._decrypt()
        elif data:
            self._buffer += data

    def _decrypt(self) -> None:
        assert self._tls is not None
        try:
            while True:
                data = self._tls.read(65536)
                if not data:
                    raise GoneError("the client ended TLS")
                self._buffer += data
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise GoneError(str(error)) from error

    # --- writing

    def send_message(self, body: bytes, kind: int = REPLY) -> None:
        """Sends one message in as many packets as it needs."""
        room = self.packet_size - HEADER.size
        pieces = [body[start : start + room] for start in range(0, len(body), room)] or [b""]
        packets = b"".join(
            HEADER.pack(
                kind,
                END_OF_MESSAGE if number == len(pieces) else 0,
                len(piece) + HEADER.size,
                self.session_id & 0xFFFF,
                number & 0xFF,
                0,
            )
            + piece
            for number, piece in enumerate(pieces, 1)
        )
        self.send_raw(packets)

    def send_raw(self, data: bytes) -> None:
        """Sends bytes, in TLS when that is on, one at a time when `pace` says so."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        try:
            if not self.pace:
                self.socket.sendall(data)
                return
            for byte in data:
                self.socket.sendall(bytes([byte]))
                self.wait(lambda: False, self.pace)
        except OSError as error:
            raise GoneError(str(error)) from error

    # --- TLS

    def begins_with_tls(self) -> bool:
        """Whether the client's first byte is that of a TLS record (TDS 8), once it is there."""
        while not self._buffer:
            self._wait_for_bytes(None)
        return self._buffer[0] == TLS_HANDSHAKE

    def start_tls_first(self, context: ssl.SSLContext) -> tuple[str, str | None]:
        """The handshake before anything else: version and ALPN protocol agreed on. GoneError when the client will not."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        done = False
        while not done:
            self._incoming.write(bytes(self._buffer))
            self._buffer.clear()
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError as error:
                self.send_raw(self._outgoing.read())
                raise GoneError(str(error)) from error
            self.send_raw(self._outgoing.read())
            if not done:
                self._wait_for_bytes(None)
        self._tls = tls
        self._decrypt()  # what came with the last flight
        return tls.version() or "", tls.selected_alpn_protocol()

    def start_tls(self, context: ssl.SSLContext) -> str:
        """The handshake, its records in PRELOGIN messages; the version agreed on. GoneError when the client will not."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError as error:
                if alert := self._outgoing.read():
                    self.send_message(alert, PRELOGIN)
                raise GoneError(str(error)) from error
            if flight := self._outgoing.read():
                self.send_message(flight, PRELOGIN)
            if done:
                break
            self._incoming.write(self.read_message().body)
        self._tls = tls
        if self._buffer:  # what came with the last flight
            self._incoming.write(bytes(self._buffer))
            self._buffer.clear()
            self._decrypt()
        return tls.version() or ""

    def stop_tls(self) -> None:
        """Back to plain text, as after a login with encryption "off"."""
        self._tls = None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._tls is not None

    # --- the end

    def close(self, how: str = "fin") -> None:
        """Ends the connection: in order ("fin"), or at once ("rst")."""
        with contextlib.suppress(OSError):
            if how == "rst":
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.socket.shutdown(socket.SHUT_WR)
                # Closing with something unread would be a RST.
                self.socket.setblocking(False)
                while self.socket.recv(65536):
                    pass
        with self._lock:
            self._closed = True
            self.socket.close()
            self._woken.close()
            self._waker.close()
