"""A connected socket, with or without TLS on it, read and written under a deadline."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from dbdoctor.probe.deadline import Deadline, DeadlinePassedError

if TYPE_CHECKING:
    import ssl


class ClosedError(Exception):
    """The other side closed the connection. `reset` says that it was by RST, `received` what had come before."""

    def __init__(self, *, reset: bool = False, received: bytes = b"") -> None:
        super().__init__("closed")
        self.reset = reset
        self.received = received


class Channel:
    """Bytes in and out of one connection under one deadline.

    Raises DeadlinePassedError, ClosedError, and, on TLS, ssl.SSLError when the other side sends an alert.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.plain = sock
        self.tls: ssl.SSLSocket | None = None
        self.deadline = deadline

    def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> ssl.SSLSocket:
        """Do a TLS handshake; raises ssl.SSLError as it comes, besides the two of the class."""
        import ssl

        tls = context.wrap_socket(self.plain, server_hostname=server_name, do_handshake_on_connect=False)
        self.plain = self.tls = tls
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self.deadline.wait(tls.fileno())
            except ssl.SSLWantWriteError:
                self.deadline.wait(tls.fileno(), write=True)
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                raise ClosedError from error
            except ConnectionError as error:
                raise ClosedError(reset=True) from error
            else:
                return tls

    def send(self, data: bytes) -> None:
        """Send it all."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.plain.send(view) :]
            except (BrokenPipeError, ConnectionResetError) as error:
                raise ClosedError(reset=True) from error
            except OSError as error:
                self._wait_for(error, write=True)

    def receive(self, most: int = 4096) -> bytes:
        """Some bytes, at least one."""
        while True:
            try:
                data = self.plain.recv(most)
            except ConnectionError as error:
                raise ClosedError(reset=True) from error
            except OSError as error:
                self._wait_for(error)
                continue
            if not data:
                raise ClosedError
            return data

    def receive_exactly(self, count: int) -> bytes:
        """`count` bytes; ClosedError carries what came before the end."""
        data = b""
        while len(data) < count:
            try:
                data += self.receive(count - len(data))
            except ClosedError as error:
                raise ClosedError(reset=error.reset, received=data) from error
        return data

    def has_more(self) -> bool:
        """Whether bytes lie there already.

        After the one byte that answers an SSLRequest there must be none: libpq takes more for an attack
        (CVE-2021-23222), and `S` also begins the greeting of an SSH server.
        """
        try:
            return bool(self.plain.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def receive_for(self, seconds: float, most: int = 1024) -> bytes:
        """Whatever comes within `seconds`, until the other side pauses or closes; may be empty."""
        data, whole = b"", self.deadline
        self.deadline = whole.within(min(seconds, whole.remaining))
        with contextlib.suppress(DeadlinePassedError, ClosedError):
            while len(data) < most:
                data += self.receive(most - len(data))
        self.deadline = whole
        return data

    def close(self, *, wait: float = 0.0) -> None:
        """Close it; with `wait`, give the server that many seconds to see it and to free its session slot first."""
        with contextlib.suppress(OSError, DeadlinePassedError, ClosedError):
            if wait > 0:
                self.plain.shutdown(socket.SHUT_WR)
                self.deadline = self.deadline.within(wait)
                while self.receive():
                    pass
        self.plain.close()

    def _wait_for(self, error: OSError, *, write: bool = False) -> None:
        name = type(error).__name__
        if name in ("SSLWantReadError", "BlockingIOError") and not (write and name == "BlockingIOError"):
            self.deadline.wait(self.plain.fileno())
        elif name in ("SSLWantWriteError", "BlockingIOError"):
            self.deadline.wait(self.plain.fileno(), write=True)
        elif name in ("SSLEOFError", "SSLZeroReturnError"):
            raise ClosedError from error
        elif hasattr(error, "reason"):  # an alert: ssl.SSLError, without importing ssl for it
            raise error
        else:
            raise ClosedError(reset=True) from error
