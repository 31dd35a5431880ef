"""From the seconds of a trial to those of the real path and back: what can be kept to scale, and what cannot; pure.

The kernel takes keepalives in whole seconds only, one at least. So they are rounded in the direction in which they still
lie on the same side of the idle timeout, and what else must hold (that a loss is found before the pool is used again, or
after) is kept by the moment at which it is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.trial import Scale

IDLE_FACTOR = 1.25
"""The application comes back after so many times the idle timeout, as PoolPlan has it."""
_AFTER_DEATH = 1.5
"""Seconds after a connection was found dead by keepalives until it is used, so that a busy machine is late in vain."""

_REMEDY = "; run with a longer --idle"


class Keepalive(NamedTuple):
    """TCP keepalive: `idle` seconds of silence, then probes `interval` seconds apart; dead after `count` unanswered."""

    idle: int
    interval: int
    count: int  # type: ignore[assignment]  # tuples have a method of that name

    @property
    def unanswered(self) -> int:
        """From the last sign of life until the connection is found dead (seconds)."""
        return self.idle + self.interval * self.count


def found_dead(keepalive: Keepalive, idle_timeout: float) -> float:
    """When keepalive finds out, at the latest, that a path which ignores probes dropped the connection.

    Seconds since the application went idle. The probes before the drop were answered.
    """
    if keepalive.idle >= idle_timeout:
        return keepalive.unanswered
    return math.ceil(idle_timeout / keepalive.idle) * keepalive.idle + keepalive.interval * keepalive.count


def found_before_use(keepalive: Keepalive, idle_timeout: float) -> bool:
    """Whether a connection that was dropped is known to be dead when the application comes back."""
    return found_dead(keepalive, idle_timeout) <= IDLE_FACTOR * idle_timeout


def extra_until_found(keepalive: Keepalive, idle_timeout: float) -> float:
    """How much longer the application stays idle (seconds) so that it comes back after keepalive found the loss."""
    return max(0.0, found_dead(keepalive, idle_timeout) + _AFTER_DEATH - IDLE_FACTOR * idle_timeout)


def keepalive_in_trial(real: Keepalive, scale: Scale) -> tuple[Keepalive, str | None]:
    """The real keepalive in whole seconds of the trial, and what could not be kept, if anything.

    It begins on the same side of the idle timeout; and where the real one finds a loss only after the application came
    back, so does this one. (That it finds it before can be had by `extra_until_found`.)
    """
    interval = max(1, math.ceil(real.interval / scale.factor))
    exact = real.idle / scale.factor
    if real.idle >= scale.real:
        return Keepalive(max(math.ceil(exact), math.floor(scale.trial) + 1), interval, real.count), None
    idles = [idle for idle in (max(1, math.floor(exact)), math.ceil(exact)) if idle < scale.trial]
    if not idles:
        return Keepalive(1, interval, real.count), _too_short(real, scale)
    late = not found_before_use(real, scale.real)
    surely_late = max(interval, math.floor((IDLE_FACTOR - 1) * scale.trial / real.count) + 1)
    found = [Keepalive(idle, step, real.count) for step in (interval, surely_late) for idle in idles]
    return next((one for one in found if not (late and found_before_use(one, scale.trial))), found[-1]), None


def _too_short(real: Keepalive, scale: Scale) -> str:
    return (
        f"keepalives after {format_duration(real.idle)} come before the drop after {format_duration(scale.real)}, but in "
        f"the trial the kernel's shortest, 1 s, is not below {format_duration(scale.trial)}{_REMEDY}"
    )


def unscalable(told: Iterable[str]) -> str | None:
    """Of what a plan says its values stand for, that one of them lies on the wrong side; then its trial proves nothing."""
    return next((text for text in told if text.endswith(_REMEDY)), None)


def stands_for(in_trial: object, real: object, *, to_scale: bool = True) -> str:
    """`1 stands for 87`, and that it is not to scale where it is not; nothing but the value when both are the same."""
    if in_trial == real:
        return f"{real}, the real value"
    return f"{in_trial} stands for {real}" + ("" if to_scale else ", which is not to scale")


def seconds(value: float) -> str:
    """A number of seconds as it is written in code: `3.2`, `280`."""
    return f"{value:g}" if value < 1e5 else str(round(value))
