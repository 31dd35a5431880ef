"""The SQL Server Browser: tells over UDP which port a named instance listens on, or says nothing."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Self

PORT = 1434
ALL_INSTANCES = (2, 3)
ONE_INSTANCE, DEDICATED = 4, 15
ANSWER = 5


# There is one port 1434, and the tests of another process may be using it: so long (seconds) is waited for it.
PATIENCE = 90.0


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = time.monotonic() + PATIENCE
    while True:
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.bind((host, port))
        except OSError as error:
            opened.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise
            time.sleep(0.1)
            continue
        return opened


class SqlBrowser:
    """Answers for `instances` (name to TCP port) on a UDP port; with `silent` it reads and says nothing.

    `port` is 1434 where the drivers ask, 0 for a free one. `asked` has every question that came.
    """

    def __init__(
        self,
        instances: Mapping[str, int],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        silent: bool = False,
        server_name: str = "TESTS",
        version: str = "16.0.4175.1",
        raw: bytes | None = None,
    ) -> None:
        self.instances = dict(instances)
        self.silent = silent
        # Sent instead of an answer.
        self.raw = raw
        self.asked: list[bytes] = []
        self._names = (server_name, version)
        self._socket = _bound(host, port)
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # An empty datagram of our own wakes the thread.
        with contextlib.suppress(OSError), socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.host, self.port))
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(4096)
            if not question:
                return
            self.asked.append(question)
            answer = self.raw if self.raw is not None else self._answer(question)
            if answer and not self.silent:
                self._socket.sendto(answer, client)

    def _answer(self, question: bytes) -> bytes:
        if question[0] in ALL_INSTANCES:
            names = list(self.instances)
        else:
            wanted = question[1:].split(b"\0")[0].decode("cp1252", "replace").lower()
            names = [name for name in self.instances if name.lower() == wanted]
        if not names:
            return b""
        server, version = self._names
        text = "".join(
            f"ServerName;{server};InstanceName;{name};IsClustered;No;Version;{version};tcp;{self.instances[name]};;"
            for name in names
        ).encode("cp1252")
        return struct.pack("<BH", ANSWER, len(text)) + text
