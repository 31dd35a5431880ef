"""How a probe tells what it is doing: each stage when it begins and when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable

from dbdoctor.model.stage import Stage, StageName, StageStarted

Event = StageStarted | Stage
OnEvent = Callable[[Event], None]


class StageLog:
    """Collects the stages of one probe and passes each on at once. A stage that was not ended is ended by the next."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._started = time.monotonic()
        self.stages: list[Stage] = []
        self.under_way: StageName | None = None

    def start(self, name: StageName, detail: str) -> None:
        """A stage begins."""
        self.under_way = name
        self._started = time.monotonic()
        self._on_event(StageStarted(name, detail))

    def end(self, *, ok: bool, detail: str, lines: tuple[str, ...] = (), seconds: float | None = None) -> None:
        """The stage under way has ended."""
        if self.under_way is None:
            return
        took = time.monotonic() - self._started if seconds is None else seconds
        stage = Stage(self.under_way, ok, took, detail, lines)
        self.under_way = None
        self.stages.append(stage)
        self._on_event(stage)
