"""Whether time went on as it should: a suspended machine or a process that stood still makes idle ages doubtful."""

from __future__ import annotations

import time

# Below this nobody was asleep: clocks are read one after the other, and adjusted (seconds).
_ASLEEP = 0.5
# A loop that comes back so much later than it meant to was stopped; a busy machine is late by less.
_STOOD_STILL = 2.0


class Clocks:
    """Compares the clock that runs on during a suspension with the one that stops, and both with what was meant."""

    def __init__(self) -> None:
        self._apart = _apart()
        self._expected = time.monotonic()

    def will_wait(self, seconds: float) -> None:
        """The loop is about to wait so long at most."""
        self._expected = time.monotonic() + seconds

    def disturbance(self) -> str | None:
        """What happened since the last call that makes the ages doubtful, in words; None when nothing did."""
        apart, before = _apart(), self._apart
        late = time.monotonic() - self._expected
        self._apart = apart
        if apart - before > _ASLEEP:
            return f"this machine was suspended for {apart - before:.0f} s"
        if late > _STOOD_STILL:
            return f"this process stood still for {late:.0f} s"
        return None


def _apart() -> float:
    """How long the machine has been suspended since its start, in seconds; 0 where no clock tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0
