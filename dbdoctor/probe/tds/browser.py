r"""SQL Server Browser: over UDP it tells which TCP port a named instance (`host\instance`) listens on.

Source: [MC-SQLR], section 2.2. It answers for instances that it knows, and says nothing about others; a datagram that a
firewall drops looks the same.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address

PORT = 1434
"""Where the service listens; nothing can change it."""

_ASK_ALL, _ASK_ONE, _ANSWER = b"\x03", b"\x04", 5
# A lost datagram is sent again after so many seconds.
_AGAIN = 0.5


class Told(NamedTuple):
    """What the browser said. `found` is whether it knows the instance; `port` is then None when that has no TCP.

    `answered` is False when nothing came; `refused` then says that the machine answered that nobody listens there.
    `instances` are those that it knows of when ours was not among them.
    """

    port: int | None = None
    found: bool = False
    answered: bool = False
    refused: bool = False
    instances: tuple[str, ...] = ()
    seconds: float = 0.0


def ask_browser(addresses: Sequence[Address], instance: str, deadline: Deadline, port: int = PORT) -> Told:
    """Ask every address at once for the instance, again and again, until one answers or the deadline has passed."""
    started = time.monotonic()
    refused = False
    with _Sockets(addresses, port) as sockets:
        question = _ASK_ONE + _encoded(instance) + b"\0"
        while deadline.remaining > 0 and sockets.open:
            refused = sockets.send(question) or refused
            # Of an instance that it does not know it says nothing; what it does know shows that it is there.
            sockets.send(_ASK_ALL)
            for data in sockets.receive(min(_AGAIN, deadline.remaining)):
                told = _read(data, instance)
                if told is not None:
                    return told._replace(seconds=time.monotonic() - started)
            refused = sockets.refused or refused
    return Told(refused=refused, seconds=time.monotonic() - started)


class _Sockets:
    """A datagram socket for each address."""

    def __init__(self, addresses: Sequence[Address], port: int) -> None:
        self.open: list[socket.socket] = []
        self.refused = False
        for address in addresses:
            self._add(address, port)

    def _add(self, address: Address, port: int) -> None:
        if isinstance(address.sockaddr, str):
            return
        sock = socket.socket(address.family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            sock.connect((address.sockaddr[0], port, *address.sockaddr[2:]))
        except OSError:
            sock.close()
            return
        self.open.append(sock)

    def send(self, question: bytes) -> bool:
        """Whether somebody said that nobody listens."""
        for sock in list(self.open):
            try:
                sock.send(question)
            except OSError as error:
                self._lost(sock, error)
        return self.refused

    def receive(self, seconds: float) -> list[bytes]:
        """What came within that time; of several answers all that had come when the first was read."""
        until = Deadline.after(seconds)
        answers: list[bytes] = []
        while self.open and not answers:
            try:
                self._wait(until)
            except DeadlinePassedError:
                break
            for sock in list(self.open):
                try:
                    answers.append(sock.recv(65536))
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lost(sock, error)
        return answers

    def _wait(self, until: Deadline) -> None:
        import select

        ready, _, _ = select.select(self.open, [], [], until.remaining)
        if not ready:
            raise DeadlinePassedError

    def _lost(self, sock: socket.socket, error: OSError) -> None:
        self.refused = self.refused or error.errno == errno.ECONNREFUSED
        self.open.remove(sock)
        sock.close()

    def __enter__(self) -> _Sockets:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.open:
            sock.close()


def _encoded(instance: str) -> bytes:
    return instance.encode("cp1252", "replace")[:255]


def _read(data: bytes, instance: str) -> Told | None:
    """What an answer says of the instance; None for what is no answer."""
    if len(data) < 3 or data[0] != _ANSWER:
        return None
    names: list[str] = []
    for entry in data[3:].decode("cp1252", "replace").split(";;"):
        words = entry.split(";")
        values = {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=False)}
        name = values.get("instancename", "")
        if name.lower() == instance.lower():
            number = values.get("tcp", "")
            port = int(number) if number.isascii() and number.isdigit() and 0 < int(number) < 65536 else None
            return Told(port, found=True, answered=True)
        names += [name] if name else []
    return Told(answered=True, instances=tuple(names[:20]))
