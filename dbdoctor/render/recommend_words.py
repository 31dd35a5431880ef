"""Figures of `recommend` in words: settings, waits, what was changed."""

from __future__ import annotations

import math
from typing import Any

from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Prediction, WaitTarget
from dbdoctor.render.style import Style

NONE = 5e-5  # seconds: what is shorter is shown as none


def value_words(value: Any) -> str:
    """A setting's value as it stands in Python."""
    return "not stated" if value is None else str(value) if not isinstance(value, float) else f"{value:g}"


def change_words(value: Any) -> str:
    """A changed figure as it was typed, or nearly so."""
    if isinstance(value, WaitTarget):
        return f"p{value.share * 100:g}={format_duration(value.wait)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def get(wait: float) -> str:
    """How soon a connection is had."""
    return f"get one within {time_words(wait)}" if wait > NONE else "get one at once"


def time_words(seconds: float) -> str:
    """A wait; without end where it is infinite."""
    if not math.isfinite(seconds):
        return "without end"
    return "0 ms" if seconds < NONE else format_duration(seconds)


def short_words(one: Prediction) -> str:
    """A prediction in half a sentence."""
    return f"99% {get(one.point.p99)}, {one.timeouts} give up, {one.connects_per_second:.2g} new connections a second"


def title(text: str, style: Style) -> str:
    """The head of a part."""
    return style.paint(text, bold=True)
