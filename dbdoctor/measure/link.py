"""A connection that is watched while it idles, and used when it is told to; what happens to it comes as events."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import NamedTuple, Protocol

from dbdoctor.model.measured import Drop
from dbdoctor.model.session import Identity


class Opened(NamedTuple):
    """It is logged in and idles; `sent` is when its last byte was sent."""

    sent: float


class Answered(NamedTuple):
    """It was used and answered."""


class Late(NamedTuple):
    """It answered after it had been given up."""


class Touched(NamedTuple):
    """The server sent something that nobody asked for."""


class Failed(NamedTuple):
    """It could not be opened; `words` are the driver's, or the server's, first line, redacted."""

    words: str


class Gone(NamedTuple):
    """It ended: how, and in what words if there were any. `sqlstate` is the server's for them."""

    drop: Drop
    said: str | None = None
    sqlstate: str | None = None


Event = Opened | Answered | Late | Touched | Failed | Gone


class Link(Protocol):
    """One connection. `identity` is its session on the server, once that is known."""

    number: int
    identity: Identity | None

    def start(self) -> None:
        """Begin to log in."""

    def fileno(self) -> int:
        """The socket to be watched; -1 when there is none."""

    @property
    def wants_write(self) -> bool:
        """Whether it waits until it can send."""

    def step(self, now: float) -> Event | None:
        """Something is to be read, or can be sent; gives what came of it, if anything."""

    def use(self) -> Event | None:
        """Send a statement; gives its end if that shows at once."""

    def set_keepalive(self, seconds: int) -> None:
        """Let TCP probe the connection after so many idle seconds."""

    def close(self) -> None:
        """End it, from here at least; never raises."""


class Glimpse(NamedTuple):
    """What stands in a socket's way to us: bytes, the other side's end (`Drop.CLOSED`), a reset, or nothing yet."""

    has_data: bool = False
    end: Drop | None = None


def glimpse(fileno: int) -> Glimpse:
    """Look without taking anything: afterwards the driver cannot tell an end from a reset any more."""
    try:
        with contextlib.closing(socket.socket(fileno=os.dup(fileno))) as peeked:
            data = peeked.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return Glimpse()
    except (ConnectionResetError, BrokenPipeError):
        return Glimpse(end=Drop.RESET)
    except OSError:  # ETIMEDOUT, EHOSTUNREACH: a keepalive found nobody there
        return Glimpse(end=Drop.SILENT)
    return Glimpse(has_data=True) if data else Glimpse(end=Drop.CLOSED)


def probe_after(fileno: int, seconds: int) -> None:
    """Switch TCP keepalives on: after so many idle seconds, then each of them again, three in vain end it."""
    with contextlib.suppress(OSError, AttributeError), contextlib.closing(socket.socket(fileno=os.dup(fileno))) as same:
        if same.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in ((socket.TCP_KEEPIDLE, seconds), (socket.TCP_KEEPINTVL, seconds), (socket.TCP_KEEPCNT, 3)):
            same.setsockopt(socket.IPPROTO_TCP, name, min(32767, max(1, value)))
