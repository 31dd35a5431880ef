"""Durations as people write them: `250ms`, `30s`, `4m`, `1h`; seconds as float inside."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|min|m|h|d)?\s*"
_LONGEST = 366 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds from `250ms`, `30s`, `4m`, `1h`, `1d`, or a bare number of seconds.

    Raises ValueError, with a message fit for users, for anything else and for more than a year.
    """
    match = re.fullmatch(_WRITTEN, text, re.ASCII)
    if match is None:
        raise ValueError("a duration is a number with a unit: 250ms, 30s, 4m or 1h")
    seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if seconds > _LONGEST:
        raise ValueError("a duration is at most 366 days")
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds for people, two figures that matter: `0.4 ms`, `85 ms`, `3.2 s`, `6m 12s`, `2h 05m`, `9d 4h`."""
    if math.isnan(seconds):
        return "unknown"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 0.00995:
        return f"{sign}{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{sign}{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{sign}{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{sign}{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{sign}{whole // 86400}d {whole % 86400 // 3600}h"
