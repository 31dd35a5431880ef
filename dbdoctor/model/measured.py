"""What a measurement of the idle timeout found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dbdoctor.model.device import Device
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target


class Drop(str, Enum):
    """How an idle connection ends. `RESET` and `CLOSED` announce themselves; `RESET_ON_USE` only when it is used."""

    SILENT = "silent"
    RESET = "reset"
    RESET_ON_USE = "reset-on-use"
    CLOSED = "closed"
    SERVER_ERROR = "server-error"
    NONE = "none"


class Where(str, Enum):
    """What ends it. `UNKNOWN` when it cannot be deduced."""

    SERVER = "server"
    POOLER = "pooler"
    PROXY = "proxy"
    NETWORK = "network"
    NOWHERE = "nowhere"
    UNKNOWN = "unknown"


class Bracket(NamedTuple):
    """Between which idle ages the timeout lies, in seconds; `at_most` is None when no end was seen."""

    at_least: float = 0.0
    at_most: float | None = None


class Ghosts(NamedTuple):
    """What dropped connections still held on the server: `sessions` of the `looked_for` that were ours had outlived them.

    `kept_seconds` is for how long the server would keep such a session that nobody is behind (its TCP keepalives), and
    None when it does not say; `ended` is how many of these, all our own, we ended.
    """

    looked_for: int
    sessions: int
    kept_seconds: float | None = None
    ended: int = 0


class Advice(NamedTuple):
    """The settings that follow, in seconds: SQLAlchemy's pool_recycle, and TCP keepalives where they help (else None)."""

    pool_recycle: int | None = None
    keepalives_idle: int | None = None


class MeasureOptions(NamedTuple):
    """What was asked for: the longest timeout to look for (seconds), the resolution (a share), how many connections."""

    up_to: float = 1800.0
    resolution: float = 0.02
    connections: int = 24
    keepalive: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """The answer. Durations are seconds; `seconds` is None when no timeout was found within `options.up_to`.

    `said` is what the server or pooler wrote when it ended the connection. `seen` counts the connections that were found
    ended, `opened` those opened in all. `answered` says that this is the answer; else it was stopped (`interrupted`) or had
    to be given up, and the bracket is what is known so far.
    """

    target: Target
    options: MeasureOptions
    bracket: Bracket
    seconds: float | None = None
    drop: Drop = Drop.NONE
    where: Where = Where.UNKNOWN
    said: str | None = None
    likely: tuple[Device, ...] = ()
    keepalive_resets_it: bool | None = None
    took: float = 0.0
    opened: int = 0
    seen: int = 0
    ghosts: Ghosts | None = None
    advice: Advice = field(default_factory=Advice)
    interrupted: bool = False
    answered: bool = True
    notes: tuple[str, ...] = ()
    facts: ServerFacts | None = None
