"""Stage one: what addresses a host name has, as the application's own resolver tells it, within the deadline.

`getaddrinfo` cannot be interrupted, so it runs in a daemon thread that is left behind when it hangs.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.target import Endpoint
from dbdoctor.probe.deadline import Deadline


class Address(NamedTuple):
    """Where one host can be reached: what `socket.connect` takes, for the family it is of."""

    endpoint: Endpoint
    family: int
    sockaddr: tuple[str | int | bytes, ...] | str

    @property
    def ip(self) -> str:
        """The numeric address, or the socket's path."""
        return self.sockaddr if isinstance(self.sockaddr, str) else str(self.sockaddr[0])

    @property
    def shown(self) -> str:
        """`10.0.0.5:5432`, `[::1]:5432`, or the socket's path."""
        if isinstance(self.sockaddr, str):
            return self.sockaddr
        host, port = str(self.sockaddr[0]), self.sockaddr[1]
        return f"[{host}]:{port!s}" if ":" in host else f"{host}:{port!s}"


class Resolution(NamedTuple):
    """What the resolver answered for one endpoint. `error` is getaddrinfo's number and text, or None; `silent`: no answer."""

    endpoint: Endpoint
    addresses: tuple[Address, ...] = ()
    error: tuple[int, str] | None = None
    silent: bool = False
    seconds: float = 0.0


def needs_resolver(endpoint: Endpoint) -> bool:
    """Whether a name has to be looked up: not for unix sockets, `hostaddr`, or a numeric address."""
    return not endpoint.is_socket and endpoint.address is None and not _is_numeric(endpoint.host or "localhost")


def resolve_all(endpoints: Sequence[Endpoint], deadline: Deadline) -> list[Resolution]:
    """Look all endpoints up at once; give one Resolution each, in order.

    As soon as one host has an answer, the others get half of what remains: a dead name server for the second host
    must not eat the time in which the first can be examined.
    """
    answers: queue.SimpleQueue[tuple[int, Resolution]] = queue.SimpleQueue()
    found: dict[int, Resolution] = {}
    for index, endpoint in enumerate(endpoints):
        if needs_resolver(endpoint):
            threading.Thread(target=_look_up, args=(index, endpoint, answers), daemon=True).start()
        else:
            found[index] = _look_up_at_once(endpoint)
    until = deadline.part(0.5) if found else deadline
    while len(found) < len(endpoints):
        try:
            index, resolution = answers.get(timeout=max(until.patience, 0.001))
        except queue.Empty:
            if until.remaining <= 0:
                break
            continue
        found[index] = resolution
        if resolution.addresses and until is deadline:
            until = deadline.part(0.5)
    return [found.get(i) or Resolution(e, silent=True, seconds=until.elapsed) for i, e in enumerate(endpoints)]


def _look_up(index: int, endpoint: Endpoint, answers: queue.SimpleQueue[tuple[int, Resolution]]) -> None:
    answers.put((index, _look_up_at_once(endpoint)))


def _look_up_at_once(endpoint: Endpoint) -> Resolution:
    if endpoint.is_socket:
        return Resolution(endpoint, (Address(endpoint, socket.AF_UNIX, _socket_path(endpoint)),))
    started = time.monotonic()
    host = endpoint.address or endpoint.host or "localhost"
    flags = 0 if needs_resolver(endpoint) else socket.AI_NUMERICHOST  # what is no name must never wait for a resolver
    try:
        answers = socket.getaddrinfo(_encoded(host), endpoint.port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        return Resolution(endpoint, error=(error.errno or 0, error.strerror or ""), seconds=time.monotonic() - started)
    except (UnicodeError, OSError, ValueError) as error:
        return Resolution(endpoint, error=(socket.EAI_NONAME, type(error).__name__), seconds=time.monotonic() - started)
    unique = dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in answers)
    addresses = tuple(Address(endpoint, family, sockaddr) for family, sockaddr in unique)
    return Resolution(endpoint, addresses, seconds=time.monotonic() - started)


def _encoded(host: str) -> str | bytes:
    """An ordinary name as bytes: from a text, Python would load its tables of international names, at 2 ms."""
    ordinary = host.isascii() and len(host) < 64 and all(host.removesuffix(".").split("."))
    return host.encode("ascii") if ordinary else host


def _is_numeric(host: str) -> bool:
    for family, text in ((socket.AF_INET, host), (socket.AF_INET6, host.split("%", 1)[0])):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def _socket_path(endpoint: Endpoint) -> str:
    """libpq's own rule: the directory, then `.s.PGSQL.` and the port; a leading `@` is the abstract namespace."""
    path = f"{endpoint.host}/.s.PGSQL.{endpoint.port}"
    return "\0" + path[1:] if path.startswith("@") else path
