"""The state of a measurement in the background, in a file: written whole or not at all, for its owner alone, no secret in it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.model.measured import Bracket

SCHEMA = "dbdoctor.measure-timeout-state/1"


class State(NamedTuple):
    """What the file holds. `target` is the one without a password; times are Unix seconds, durations seconds.

    `pid` and `pid_started` (clock ticks since boot) are the process that measures; `result` is the answer as JSON has it,
    `lines` as people read it. `error` is why there is none. `sessions` are the ids and starts of those on the server, for
    whoever goes on after the process was killed.
    """

    target: str
    options: dict[str, Any]
    pid: int = 0
    pid_started: int = 0
    started_at: float = 0.0
    written_at: float = 0.0
    elapsed_seconds: float = 0.0
    remaining_seconds: float | None = None
    at_least_seconds: float = 0.0
    at_most_seconds: float | None = None
    exit_code: int | None = None
    result: dict[str, Any] | None = None
    lines: list[str] | None = None
    error: dict[str, str | None] | None = None
    sessions: list[list[Any]] = []  # noqa: RUF012 (never changed in place)

    @property
    def runs(self) -> bool:
        """Whether its process is there and has no answer yet."""
        return self.exit_code is None and self.pid > 0 and started_ticks(self.pid) == self.pid_started

    @property
    def bracket(self) -> Bracket:
        """What is known."""
        return Bracket(self.at_least_seconds, self.at_most_seconds)


def read_state(path: Path) -> State | None:
    """The state in the file, or None when there is no file. Raises UsageError for a file that is something else."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, getattr(error, "strerror", None) or "it is not text") from None
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        held = json.loads(text)
        if held.pop("schema") == SCHEMA:
            return State(**{name: held[name] for name in State._fields if name in held})
    raise _unusable(path, "it holds something else; it was not touched")


def write_state(path: Path, state: State) -> None:
    """Put it in place of what is there. Raises UsageError when that cannot be done."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(beside, flags, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"schema": SCHEMA, **state._replace(written_at=time.time())._asdict()}, file)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise _unusable(path, error.strerror) from None


def started_ticks(pid: int) -> int:
    """When a process began, in clock ticks since boot: with its id this is one process for ever; 0 when it is not there."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = said.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])


def _unusable(path: Path, why: str | None) -> UsageError:
    return UsageError(f"{path} cannot hold the state of a measurement", cause=why, help="name another FILE")
