"""What is under way, on stderr: one line that is redrawn on a terminal; elsewhere a line only for what takes long."""

from __future__ import annotations

import sys
import time

from dbdoctor.model.duration import format_duration
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Stage, StageStarted
from dbdoctor.render.clean import clean, cut
from dbdoctor.render.style import Style, columns_of

# Off a terminal nothing is said of what ends sooner than this (seconds).
_LONG = 1.0
# And of several targets a line comes each so many seconds.
_EVERY = 2.0


class Progress:
    """Shows the stage under way of one target, or how many of several are done."""

    def __init__(self, targets: int = 1) -> None:
        self._targets = targets
        self._style = Style.of(sys.stderr)
        self._under_way: dict[int, tuple[StageStarted, float]] = {}
        self._finished = 0
        self._drawn = False
        self._said: set[tuple[int, str]] = set()
        self._started = time.monotonic()
        self._next_line = self._started + _LONG

    def event(self, index: int, event: object) -> None:
        """A stage began or ended."""
        if isinstance(event, StageStarted):
            self._under_way[index] = (event, time.monotonic())
            self._draw()
        elif isinstance(event, Stage):
            self._under_way.pop(index, None)

    def finished(self, index: int) -> None:
        """A target is done."""
        self._under_way.pop(index, None)
        self._finished += 1
        if self._targets > 1:
            self._draw()

    def note(self, text: str) -> None:
        """Something else is under way (a server is started)."""
        if self._style.terminal:
            self._write(f"  {text} …")

    def tick(self) -> None:
        """Time has passed; called a few times a second."""
        self._draw()
        if self._style.terminal:
            return
        if self._targets > 1:
            if time.monotonic() >= self._next_line:
                self._next_line = time.monotonic() + _EVERY
                self.say(self._counted())
            return
        for index, (event, since) in self._under_way.items():
            key = (index, event.name.value)
            if time.monotonic() - since >= _LONG and key not in self._said:
                self._said.add(key)
                self.say(
                    f"{event.name.value}: {event.detail}, no answer for {format_duration(time.monotonic() - since)} so far"
                )

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(clean(redact(text), 500), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the redrawn line away, before anything else is printed."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False

    def _draw(self) -> None:
        if not self._style.terminal:
            return
        if self._targets > 1:
            self._write(f"  {self._counted()} {self._elapsed()}")
        elif self._under_way:
            event, since = next(iter(self._under_way.values()))
            passed = time.monotonic() - since
            shown = f" {format_duration(passed)}" if passed >= _LONG else ""
            self._write(f"  {event.name.value:<8} … {event.detail}{shown}")

    def _counted(self) -> str:
        waiting = self._targets - self._finished
        return f"{self._finished} of {self._targets} targets checked, {waiting} under way"

    def _elapsed(self) -> str:
        return f"({format_duration(time.monotonic() - self._started)})"

    def _write(self, text: str) -> None:
        # Asked each time, since a window changes; COLUMNS is no help here, a line that wraps cannot be taken back.
        columns = columns_of(sys.stderr, trust_environment=False)
        # Before it is drawn: a signal may strike in between, and a line too many is better cleared than one too few.
        self._drawn = True
        sys.stderr.write("\r\x1b[K" + cut(clean(redact(text)), columns - 1))
        sys.stderr.flush()
