"""What is known of one target at a moment, as far as it is shown: plain values, made in the target's thread, read by all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from dbdoctor.model.leaks import Verdict
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.snapshot import EndedSessions
from dbdoctor.model.target import Target


class Failed(NamedTuple):
    """At which stage a target failed, and the code of it (`dbdoctor explain CODE`)."""

    stage: str
    code: str


class StageTime(NamedTuple):
    """A stage of the last login, and how long it took (seconds)."""

    stage: str
    seconds: float


class Counts(NamedTuple):
    """Sessions by what they do; `hidden` are those whose state the server does not show us."""

    active: int = 0
    idle: int = 0
    idle_in_transaction: int = 0
    hidden: int = 0


class Group(NamedTuple):
    """Sessions of one application, role and database, by harmless names; the worst verdict among them."""

    application: str
    user: str
    database: str
    counts: Counts
    verdict: Verdict


class Seen(NamedTuple):
    """What the last look saw. Durations are seconds; None is "not known", never "none".

    `groups` are at most as many as have a place (`labels.Places`), `verdicts` counts all of them. `ghosts` are sessions
    whose client is known to be gone.
    """

    at: float
    took: float
    counts: Counts
    verdicts: Mapping[Verdict, int]
    groups: tuple[Group, ...]
    slots: Slots | None = None
    exhausted_in: float | None = None
    longest_idle_in_transaction: float | None = None
    oldest_transaction: float | None = None
    ghosts: int | None = None
    ended: EndedSessions | None = None


class State(NamedTuple):
    """Everything that is shown of a target. Times are Unix seconds by our clock.

    `up` is None before the first answer or failure; `failed` is there when it is False. `seen` is of the last look, and
    None while there is no way in: an old figure is worse than none. `findings` counts by code and severity.
    """

    name: str
    target: Target
    up: bool | None = None
    failed: Failed | None = None
    stages: tuple[StageTime, ...] = ()
    logged_in_at: float | None = None
    looked_at: float | None = None
    answered: int = 0
    unanswered: int = 0
    findings: Mapping[tuple[str, str], int] = MappingProxyType({})
    skipped: int = 0
    facts: ServerFacts | None = None
    seen: Seen | None = None
