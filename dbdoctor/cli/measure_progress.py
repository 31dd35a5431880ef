"""How far a measurement is, on stderr: one line that is redrawn on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import time

from dbdoctor.cli.progress import Progress
from dbdoctor.measure.run import State
from dbdoctor.model.duration import format_duration
from dbdoctor.render.style import Style

# Off a terminal a line comes after this and then each time after twice as long (seconds).
_FIRST_LINE = 10.0
_EVERY = 0.5


class MeasureProgress(Progress):
    """Shows what is known so far and what remains."""

    def __init__(self) -> None:
        super().__init__()
        import sys

        self._terminal = Style.of(sys.stderr).terminal
        self._next = 0.0
        self._step = _FIRST_LINE
        self._line_at = _FIRST_LINE

    def stages(self) -> Progress:
        """For the look at the server that comes first."""
        return Progress()

    def state(self, state: State) -> None:
        """The measurement is so far."""
        now = time.monotonic()
        if self._terminal:
            if now >= self._next:
                self._next = now + _EVERY
                self._write(f"  {state_words(state)}")
        elif state.elapsed >= self._line_at:
            self._step *= 2
            self._line_at = state.elapsed + self._step
            self.say(state_words(state))


def state_words(state: State) -> str:
    """`4m 00s passed: more than 188.4 s, at most 27m 00s left, 24 open`."""
    low, high = state.bracket
    known = f"more than {low:.1f} s" if high is None else f"between {low:.1f} s and {high:.1f} s"
    left = format_duration(state.remaining)
    return f"{format_duration(max(1.0, state.elapsed))} passed: {known}, at most {left} left, {state.open} open"
