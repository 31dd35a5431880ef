"""Stages one and two together: from a target's hosts to the connections that were made, and why the others were not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.probe.connect import Attempt, connect_all
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.events import StageLog
from dbdoctor.probe.resolve import Address, Resolution, needs_resolver, resolve_all

_BY_ERRNO = {
    errno.ECONNREFUSED: "connection-refused",
    errno.EHOSTUNREACH: "host-unreachable",
    errno.ENETUNREACH: "host-unreachable",
    errno.ENETDOWN: "host-unreachable",
    errno.EHOSTDOWN: "host-unreachable",
    errno.ETIMEDOUT: "no-answer",
    errno.ECONNRESET: "connection-reset",
    errno.ECONNABORTED: "connection-reset",
}
_BY_ERRNO_ON_SOCKET = {
    errno.ENOENT: "socket-missing",
    errno.ENOTDIR: "socket-missing",
    errno.ECONNREFUSED: "socket-stale",
    errno.EACCES: "socket-not-allowed",
    errno.EPERM: "socket-not-allowed",
    errno.EAGAIN: "no-answer",
}
# What a resolver answers when it knows that there is nothing, and when it could not find out (netdb.h).
_NOT_FOUND = {
    socket.EAI_NONAME,
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME),
    getattr(socket, "EAI_ADDRFAMILY", -9),
}


class Reach(NamedTuple):
    """The connections made, in the order in which libpq would try them, and a failure for each way that did not work."""

    attempts: tuple[Attempt, ...] = ()
    failures: tuple[Failure, ...] = ()


class Resolved(NamedTuple):
    """The addresses found, in order, and a failure for each host that has none."""

    addresses: tuple[Address, ...] = ()
    failures: tuple[Failure, ...] = ()


def reach(target: Target, deadline: Deadline, log: StageLog) -> Reach:
    """Resolve all hosts and connect to all addresses. The connections are the receiver's to close."""
    resolved = resolve(target.endpoints, deadline, log)
    if not resolved.addresses:
        return Reach(failures=resolved.failures)
    made = connect(resolved.addresses, deadline, log)
    return Reach(made.attempts, (*resolved.failures, *made.failures))


def resolve(endpoints: Sequence[Endpoint], deadline: Deadline, log: StageLog) -> Resolved:
    """Stage one: all addresses of all hosts."""
    resolutions = _resolve(endpoints, deadline, log)
    return Resolved(
        tuple(address for resolution in resolutions for address in resolution.addresses),
        tuple(failure for resolution in resolutions if (failure := _name_resolution(resolution))),
    )


def connect(addresses: Sequence[Address], deadline: Deadline, log: StageLog, how: str = "") -> Reach:
    """Stage two: a connection to each address; `how` is said after the one that is taken."""
    log.start(StageName.CONNECT, _listed([address.shown for address in addresses]))
    attempts = connect_all(list(dict.fromkeys(addresses)), deadline)
    failures = [failure for attempt in attempts if (failure := _name_attempt(attempt))]
    made = tuple(attempt for attempt in attempts if attempt.socket)
    first = made[0] if made else attempts[0]
    log.end(
        ok=bool(made),
        detail=first.address.shown + how if made else _word(first),
        lines=tuple(f"{attempt.address.shown}: {_word(attempt)}" for attempt in attempts) if len(attempts) > 1 else (),
        seconds=first.seconds,
    )
    return Reach(made, tuple(failures))


def _resolve(endpoints: Sequence[Endpoint], deadline: Deadline, log: StageLog) -> list[Resolution]:
    asked = [endpoint for endpoint in endpoints if needs_resolver(endpoint)]
    if not asked:
        return resolve_all(endpoints, deadline)
    log.start(StageName.RESOLVE, _listed([endpoint.host or "localhost" for endpoint in asked]))
    resolutions = resolve_all(endpoints, deadline)
    asked_of = [r for r in resolutions if needs_resolver(r.endpoint)]
    lines = tuple(f"{r.endpoint.host}: {_answer(r)}" for r in asked_of)
    log.end(
        ok=any(resolution.addresses for resolution in resolutions),
        detail=next((line for line, r in zip(lines, asked_of, strict=True) if r.addresses), lines[0]),
        lines=lines if len(lines) > 1 else (),
        seconds=max(resolution.seconds for resolution in resolutions),
    )
    return resolutions


def _answer(resolution: Resolution) -> str:
    if resolution.addresses:
        return _listed([address.ip for address in resolution.addresses])
    return "no answer" if resolution.silent else (resolution.error or (0, "no address"))[1]


def _name_resolution(resolution: Resolution) -> Failure | None:
    if resolution.addresses:
        return None
    values: dict[str, object] = {
        "host": resolution.endpoint.host,
        "seconds": format_duration(resolution.seconds),
        "waited_seconds": resolution.seconds,
    }
    if resolution.silent:
        return Failure("resolver-silent", StageName.RESOLVE, values=values)
    number, words = resolution.error or (0, "")
    code = "name-not-found" if number in _NOT_FOUND else "resolver-failed"
    return Failure(code, StageName.RESOLVE, words or None, values=values)


def _name_attempt(attempt: Attempt) -> Failure | None:
    if attempt.error is None:
        return None
    table = _BY_ERRNO_ON_SOCKET if attempt.address.family == socket.AF_UNIX else _BY_ERRNO
    values = {
        **values_of(attempt.address),
        "seconds": format_duration(attempt.seconds),
        "reason": os.strerror(attempt.error),
    }
    return Failure(
        table.get(attempt.error, "cannot-connect"),
        StageName.CONNECT,
        None if attempt.error == errno.ETIMEDOUT else os.strerror(attempt.error),
        values=values,
    )


def values_of(address: Address) -> dict[str, object]:
    """What the texts of a failure say of an address."""
    endpoint = address.endpoint
    host = endpoint.host or address.ip
    where = endpoint.shown if host == address.ip or endpoint.is_socket else f"{endpoint.shown} ({address.ip})"
    return {"where": where, "host": host, "address": address.ip, "port": endpoint.port}


def _word(attempt: Attempt) -> str:
    if attempt.error is None:
        return "connected"
    return "no answer" if attempt.error == errno.ETIMEDOUT else os.strerror(attempt.error).lower()


def _listed(words: list[str]) -> str:
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
