"""What every command's JSON is made of: findings, skipped rules, slots, times; texts made harmless, numbers made numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.server import Slots
from dbdoctor.render.clean import clean, clean_lines

# Characters of one text; programs get what people get shortened, but no flood.
_LONGEST = 20_000


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding, as in every command's JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "title": finding.title,
        "group": dict(finding.group) if finding.group else None,
        "sessions": finding_sessions(finding),
        "evidence": dict(finding.evidence),
        "why": finding.why,
        "fix": finding.fix,
        "command": finding.command,
    }


def finding_sessions(finding: Finding) -> list[dict[str, Any]]:
    """`{"id", "started_at"}` of each session that a finding is about."""
    return [
        {**session, "started_at": time_text(started) if isinstance(started, (int, float)) else started}
        for session in finding.sessions
        for started in (session.get("started_at"),)
    ]


def cleaned(value: Any, key: str = "") -> Any:
    """Every text without control and direction characters, so that `jq -r` does no harm; the lines of a command stay."""
    if isinstance(value, str):
        return "\n".join(clean_lines(value, _LONGEST)) if key == "command" else clean(value, _LONGEST)
    if isinstance(value, Mapping):
        return {clean(str(name)): cleaned(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item, key) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else clean(str(value), _LONGEST)


def text_or_none(text: str | None, most: int = _LONGEST) -> str | None:
    """`text` made harmless, or None."""
    return None if text is None else clean(text, most)


def number(value: float | None, digits: int = 6) -> float | None:
    """A number that JSON knows: rounded, and None for what is not finite."""
    return round(value, digits) if value is not None and math.isfinite(value) else None


def skipped_object(skipped: Skipped) -> dict[str, Any]:
    """A rule that could not look, as in every command's JSON."""
    return {"rule": skipped.rule, "reason": skipped.reason, "help": skipped.help}


def slots_object(slots: Slots) -> dict[str, Any]:
    """How many sessions the server admits, as in every command's JSON."""
    return {
        "limit": slots.limit,
        "reserved": slots.reserved,
        "used": slots.used,
        "free": slots.free,
        "used_by": [{"user": user, "application": name, "sessions": count} for user, name, count in slots.used_by],
    }


def time_text(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for None and for what no calendar has."""
    if seconds is None:
        return None
    try:
        whole = round(seconds, 6)
        second, fraction = _second(int(whole // 1)), whole % 1
    except (OverflowError, ValueError, OSError):
        return None
    micros = f".{round(fraction * 1_000_000):06d}" if fraction else ""
    return f"{second}{micros}Z"


@functools.lru_cache(maxsize=64)
def _second(whole: int) -> str:
    """Thousands of sessions started within a few seconds, and a calendar is slow."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
