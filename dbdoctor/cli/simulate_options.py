"""What `simulate-timeout` was asked for: its options read and their ranges checked, before anything is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.cli.options import read_duration
from dbdoctor.errors import UsageError
from dbdoctor.model.target import Target
from dbdoctor.model.trial import Scale

_IDLE, _CAP = 4.0, 30.0
# AWS Network Load Balancer and NAT gateway: the value that most people meet, and among the shortest.
_REAL = 350.0
_LONGEST = 7200.0
ALL, CURRENT, LIST = "all", "current", "list"


class SimulateOptions(NamedTuple):
    """What was asked for. Durations in seconds; None and () are "not said"."""

    drop: tuple[str, ...]
    pool: tuple[str, ...]
    idle: float | None
    idle_timeout: float | None
    for_real: bool
    workers: int | None
    cap: float
    yes: bool

    def scale(self, target: Target) -> Scale:
        """How long the fault waits in the trial, and what that stands for."""
        real = self.idle_timeout or target.path_idle_timeout or _REAL
        return Scale(real if self.for_real else self.idle or _IDLE, real)


def read_simulate_options(
    *,
    drop: Sequence[str] | None,
    pool: Sequence[str] | None,
    idle: str | None,
    idle_timeout: str | None,
    for_real: bool,
    workers: int | None,
    cap: str | None,
    yes: bool,
) -> SimulateOptions:
    """The options as they were typed, read. Raises UsageError."""
    if for_real and idle is not None:
        raise UsageError(
            "`--idle` scales, and `--for-real` does not",
            help="say how long the real path waits with `--idle-timeout`, or leave `--for-real` away",
        )
    return SimulateOptions(
        drop=_words(drop),
        pool=_words(pool),
        idle=read_duration("--idle", idle, least=1.0, most=_LONGEST),
        idle_timeout=read_duration("--idle-timeout", idle_timeout, least=1.0, most=86400.0),
        for_real=for_real,
        workers=workers,
        cap=read_duration("--cap", cap, least=1.0, most=_LONGEST) or _CAP,
        yes=yes,
    )


def lists(asked: SimulateOptions) -> bool:
    """Whether only a list of names is wanted."""
    return LIST in asked.drop or LIST in asked.pool


def _words(given: Sequence[str] | None) -> tuple[str, ...]:
    parts = [part.strip().lower() for word in given or () for part in word.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))
