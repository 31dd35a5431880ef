"""Small fake servers for what no real one does on command: wrong services, sudden ends, silences, floods.

This is the one place where the tests do not talk to the real thing, because a fault has to be had exactly.
`FakeServer(handler)` is a context manager that gives a port; CATALOGUE has every handler by name.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

# How long a handler waits for what the client ought to send, in seconds; the client gives up long before.
PATIENCE = 60.0


class ClientGoneError(Exception):
    """The client closed, or the test is over: the handler's work is done."""


class Conversation:
    """One accepted connection, as a handler sees it."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.socket = connection
        self.over = over
        self.received = b""

    def send(self, data: bytes) -> None:
        """Sends all of `data`; ClientGoneError when nobody takes it."""
        try:
            self.socket.sendall(data)
        except (OSError, ValueError) as error:
            raise ClientGoneError from error

    def read_some(self) -> bytes:
        """What the client sent next; ClientGoneError at its end."""
        try:
            data = self.socket.recv(65536)
        except (OSError, ValueError) as error:
            raise ClientGoneError from error
        if not data:
            raise ClientGoneError
        self.received += data
        return data

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes from the client."""
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except (OSError, ValueError) as error:
                raise ClientGoneError from error
            if not more:
                raise ClientGoneError
            data += more
        self.received += data
        return data

    def wait(self, seconds: float | None = None) -> None:
        """Does nothing for that long, or until the test is over (then ClientGoneError)."""
        if self.over.wait(seconds):
            raise ClientGoneError

    def stay_silent(self) -> None:
        """Reads and says nothing until the client leaves or the test is over."""
        while True:
            self.read_some()

    def close(self) -> None:
        """Ends the connection in order (FIN).

        What the client still sends is read first, for a second: closing with unread data would be a RST.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(1.0)
            while self.socket.recv(65536):
                pass
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Handler = Callable[[Conversation], None]


class FakeServer:
    """Listens on a loopback port and runs `handler` for each connection, in a thread of its own.

    `conversations` has them all, the ended too; `errors` what a handler raised, which leaving the context raises again.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._over = threading.Event()
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self.host = host
        self.port = int(self._listener.getsockname()[1])
        self.conversations: list[Conversation] = []
        self.errors: list[Exception] = []

    def start(self) -> Self:
        """Begins to accept; `port` is known before."""
        self._run(self._accept)
        return self

    def stop(self) -> None:
        """Ends every conversation and waits for the threads."""
        self._over.set()
        for end in (self._listener, *(each.socket for each in self.conversations)):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for end in (self._listener, *(each.socket for each in self.conversations)):
            end.close()
        if self.errors:
            raise self.errors[0]

    def wait_for_conversations(self, count: int, seconds: float = 10.0) -> None:
        """Returns as soon as `count` connections have been accepted; AssertionError when they are not."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.conversations) >= count, seconds)
        assert enough, f"{len(self.conversations)} of {count} connections came within {seconds} s"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation(connection, self._over)
            with self._changed:
                self.conversations.append(conversation)
                self._changed.notify_all()
            self._run(self._converse, conversation)

    def _converse(self, conversation: Conversation) -> None:
        try:
            self._handler(conversation)
        except ClientGoneError:
            pass
        except Exception as error:
            self.errors.append(error)
        conversation.close()
