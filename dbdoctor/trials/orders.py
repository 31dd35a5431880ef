"""What crosses between the processes of a simulation: plain values, as JSON, over a socket of their own.

The command starts one process, the stage, which relays and supervises; the stage forks one application for each trial.
Passwords cross here only, never in arguments, the environment or a file.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dbdoctor.model.trial import ErrorSeen, Ghost, PoolPlan, Record, Request


class Where(NamedTuple):
    """An address to connect to: the family, and what `socket.connect` takes."""

    family: int
    address: tuple[str, int] | str


class TrialOrder(NamedTuple):
    """One trial: `fault` and its `idle` seconds, the pool, and for how long a request may hang (`cap` seconds)."""

    number: int
    fault: str
    idle: float
    pool: PoolPlan
    cap: float


class StageOrder(NamedTuple):
    """A whole simulation, for the stage.

    `connect` are the driver's arguments without host and port of the relay, secrets among them; `product` is a value of
    Product; `prefix` begins the application name of every session of ours; at most `sessions` are open at once;
    `private` has the stage enter a network namespace of its own; `login_timeout` in seconds.
    """

    trials: tuple[TrialOrder, ...]
    product: str
    connect: Mapping[str, Any]
    where: Where
    prefix: str
    sessions: int
    private: bool
    login_timeout: float

    def application_name(self, trial: int) -> str:
        """Under which the sessions of a trial are seen on the server; none begins another."""
        return f"{self.prefix}{trial:05d}"


def to_json(order: StageOrder) -> dict[str, Any]:
    """As a JSON value."""
    trials = [{**one._asdict(), "pool": dataclasses.asdict(one.pool)} for one in order.trials]
    return {**order._asdict(), "trials": trials, "where": list(order.where)}


def from_json(value: Mapping[str, Any]) -> StageOrder:
    """The order that `to_json` wrote."""
    trials = tuple(TrialOrder(**{**one, "pool": PoolPlan(**one["pool"])}) for one in value["trials"])
    family, address = value["where"]
    where = Where(family, address if isinstance(address, str) else (address[0], address[1]))
    return StageOrder(**{**value, "trials": trials, "where": where})


def record_to_json(record: Record) -> dict[str, Any]:
    """As a JSON value."""
    return {
        **record._asdict(),
        "requests": [one._asdict() | {"error": one.error and one.error._asdict()} for one in record.requests],
        "ghosts": None if record.ghosts is None else [one._asdict() for one in record.ghosts],
    }


def record_from_json(value: Mapping[str, Any]) -> Record:
    """The record that `record_to_json` wrote."""
    ghosts = value["ghosts"]
    return Record(
        **{
            **value,
            "requests": tuple(request_from_json(one) for one in value["requests"]),
            "ghosts": None if ghosts is None else tuple(Ghost(**one) for one in ghosts),
            "warm": tuple(value["warm"]),
            "held": None if value["held"] is None else tuple(value["held"]),
        }
    )


def request_from_json(value: Mapping[str, Any]) -> Request:
    """One request, with its error."""
    error = value.get("error")
    return Request(**{**value, "error": ErrorSeen(**error) if error else None})


class Lines:
    """JSON lines over a socket: `send` waits, `receive` gives the whole lines that have come, and [] at the other's end."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._left = b""
        self.ended = False

    def fileno(self) -> int:
        """For selectors."""
        return self.end.fileno()

    def send(self, value: Mapping[str, Any]) -> None:
        """Send one line; nothing happens when the other end has gone."""
        try:
            self.end.sendall(json.dumps(value).encode() + b"\n")
        except OSError:
            self.ended = True

    def receive(self) -> Iterator[dict[str, Any]]:
        """What has come, after one read; sets `ended` when the other end has gone."""
        try:
            part = self.end.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self.ended = True
            return
        *whole, self._left = (self._left + part).split(b"\n")
        for line in whole:
            yield json.loads(line)
