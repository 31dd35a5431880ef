"""Stage two: a TCP (or unix socket) connection to every address at once, so that refused, unreachable and silent differ."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.resolve import Address


class Attempt(NamedTuple):
    """How one address answered. `error` is an errno (ETIMEDOUT also when the deadline ended the wait), or None.

    A `socket` that is not None is connected, non-blocking, and the receiver's to close.
    """

    address: Address
    seconds: float
    error: int | None = None
    socket: socket.socket | None = None


def connect_all(addresses: Sequence[Address], deadline: Deadline) -> list[Attempt]:
    """Try all addresses at once; give an Attempt each, in order.

    When one has answered, the others get half of the time that remains, at most: a silent first address must be named,
    but not at the price of the stages that follow.
    """
    started = time.monotonic()
    until = deadline
    attempts: dict[Address, Attempt] = {}
    with selectors.DefaultSelector() as selector:
        for address in addresses:
            _begin(address, selector, attempts)
        while selector.get_map():
            if until is deadline and any(attempt.socket for attempt in attempts.values()):
                until = deadline.part(0.5)
            events = selector.select(until.patience)
            if not events and until.remaining <= 0:
                break
            for key, _ in events:
                selector.unregister(key.fileobj)
                attempts[key.data] = _finish(key.data, key.fileobj, started)  # type: ignore[arg-type]
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
            attempts[key.data] = Attempt(key.data, time.monotonic() - started, errno.ETIMEDOUT)
    return [attempts[address] for address in addresses]


def connect_one(address: Address, deadline: Deadline) -> Attempt:
    """Try one address."""
    return connect_all([address], deadline)[0]


def _begin(address: Address, selector: selectors.BaseSelector, attempts: dict[Address, Attempt]) -> None:
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        attempts[address] = Attempt(address, 0.0, error.errno or errno.EIO)
        return
    sock.setblocking(False)
    try:
        code = sock.connect_ex(address.sockaddr)
    except (OSError, ValueError) as error:  # a socket path over 107 bytes, a scope that does not exist
        code = getattr(error, "errno", None) or errno.EINVAL
    if code in (0, errno.EISCONN):
        attempts[address] = Attempt(address, 0.0, None, _ready(sock))
    elif code in (errno.EINPROGRESS, errno.EWOULDBLOCK) and address.family != socket.AF_UNIX:
        selector.register(sock, selectors.EVENT_WRITE, address)
    else:
        sock.close()
        attempts[address] = Attempt(address, 0.0, code)


def _finish(address: Address, sock: socket.socket, started: float) -> Attempt:
    seconds = time.monotonic() - started
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        sock.close()
        return Attempt(address, seconds, code)
    return Attempt(address, seconds, None, _ready(sock))


def _ready(sock: socket.socket) -> socket.socket:
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
