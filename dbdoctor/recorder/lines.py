"""The lines of the file: from what the recorder keeps to JSON, in whole microseconds since the recorder began.

The format is `dbdoctor.recorder/1`; README.md describes it for people who read the files with other tools.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from dbdoctor.recorder.places import start_ticks
from dbdoctor.recorder.recorder import Recorder, program_name

SCHEMA = "dbdoctor.recorder/1"


def line(**fields: Any) -> str:
    """One object as a line."""
    return json.dumps(fields, separators=(",", ":")) + "\n"


def header(recorder: Recorder, part: int) -> str:
    """The first line: which process this is, and when its clock began."""
    settings = recorder.settings
    return line(
        schema=SCHEMA,
        process=recorder.process,
        began=recorder.began,
        host=socket.gethostname()[:255],
        program=program_name(),
        python=".".join(str(number) for number in sys.version_info[:3]),
        sqlalchemy=str(getattr(sys.modules.get("sqlalchemy"), "__version__", None)),
        parent=os.getppid(),
        start_ticks=start_ticks(recorder.process),
        leak_after_seconds=settings.leak_after,
        sample=settings.sample,
        part=part,
    )


class Clock:
    """From the clock of the recorder to ticks."""

    def __init__(self, zero: int) -> None:
        self.zero = zero

    def tick(self, at: int) -> int:
        """Microseconds since the recorder began."""
        return (at - self.zero) // 1000

    def rows(self, finished: list[tuple[Any, ...]]) -> str:
        """Ordinary checkouts, each `[arrival, wait, use, site, connection, thread]`."""
        zero = self.zero
        return "".join(
            [
                f"[{(asked - zero) // 1000},{(got - asked) // 1000},{(back - got) // 1000},{site},{connection},{thread}]\n"
                for asked, got, back, site, connection, thread in finished
            ]
        )

    def event(self, event: tuple[Any, ...]) -> str:
        """The line of something rare."""
        kind, *rest = event
        return str(getattr(self, f"_{kind}")(*rest))

    def _pool(self, number: int, described: dict[str, Any]) -> str:
        return line(pool=number, **described)

    def _connection(self, number: int, pool: int, details: dict[str, Any]) -> str:
        at, took = details["at"], details["took"]
        told = {
            **details,
            "at": None if at is None else self.tick(at),
            "took": None if took is None else int(took * 1e6),
        }
        return line(connection=number, pool=pool, **told)

    def _timeout(self, at: int, pool: int, site: int, wait: int, thread: int, held: list[list[int]], more: int) -> str:
        holders = [[one[0], one[1] // 1000, *one[2:]] for one in held]
        tick = self.tick(at)
        return line(timeout=tick, pool=pool, site=site, wait=wait // 1000, thread=thread, holders=holders, more=more)

    def _failed(self, at: int, pool: int, site: int, wait: int, error: str) -> str:
        return line(failed=self.tick(at), pool=pool, site=site, wait=wait // 1000, error=error)

    def _gone(self, _number: int) -> str:
        return ""  # of a pool: nothing that a reader needs

    def _event(self, name: str, at: int, connection: int, error: str | None) -> str:
        return line(event=name, at=self.tick(at), connection=connection, error=error)
