"""What has happened between two reports, worth a line in a log; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import Event, Forecast, GroupKey, GroupReport, LeaksReport
from dbdoctor.model.server import Slots

# A forecast is told again when it gets nearer than one of these (seconds), or farther: every tick has another figure.
_FORECAST_BANDS = (60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86400.0)
# Shares of the slots whose crossing is told; of the thresholds of the target the findings tell.
_SLOT_BANDS = (0.8, 0.9, 1.0)
# Lines of code told with a finding.
_MOST_LINES = 10

_FindingKey = tuple[str, tuple[tuple[str, Any], ...]]


def events_between(before: LeaksReport | None, after: LeaksReport) -> list[Event]:
    """What is new, worse, gone or returned in `after`; with no report before it, everything found is new."""
    found = list(_findings(before, after))
    told = any(event.code and event.code.startswith("slots") for event in found)
    return [
        *found,
        *_returned(before, after),
        *_forecast(before.forecast if before else None, after),
        *([] if told or before is None else _slots(before.slots, after)),
    ]


def _findings(before: LeaksReport | None, after: LeaksReport) -> Iterator[Event]:
    old = {_key(finding): finding for finding in before.findings} if before else {}
    new = {_key(finding): finding for finding in after.findings}
    at = after.observed.until
    for key, finding in new.items():
        known = old.get(key)
        if known is None or finding.severity.rank > known.severity.rank:
            worse = f"now an {finding.severity.value}: " if known else ""
            places = finding.evidence.get("taken_at", ())[:_MOST_LINES]
            lines = tuple(place["shown"] for place in places)
            text = worse + "; ".join([finding.title, *lines[:1]])
            yield Event(at, "found", text, finding.code, _group(finding.group), _session(finding), lines)
    for key, finding in old.items():
        if key not in new:
            yield Event(at, "gone", f"no more: {finding.title}", finding.code, _group(finding.group), _session(finding))


def _returned(before: LeaksReport | None, after: LeaksReport) -> Iterator[Event]:
    if before is None:
        return
    groups = {group.key: group for group in before.groups}
    for group in after.groups:
        old = groups.get(group.key)
        count = group.returned - (old.returned if old else 0)
        if count > 0:
            yield Event(after.observed.until, "returned", _returned_text(group, count, old), group=group.key)


def _returned_text(group: GroupReport, count: int, before: GroupReport | None) -> str:
    ages = [before.oldest_transaction, before.longest_idle] if before else []
    longest = next((age for age in ages if age), None)
    several = count > 1 or (before is not None and before.sessions > 1)
    after = f" after {'up to ' if several else ''}{format_duration(longest)}" if longest else ""
    who = "a suspect" if count == 1 else f"{count} suspects"
    return f"{who} of {group.shown} returned{after}: not leaked"


def _forecast(before: Forecast | None, after: LeaksReport) -> Iterator[Event]:
    now, at = after.forecast, after.observed.until
    if now is None:
        if before is not None:
            yield Event(at, "forecast", "the slots do not run out any more at the present rate")
    elif before is None or _band(before.seconds, _FORECAST_BANDS) != _band(now.seconds, _FORECAST_BANDS):
        by = f", by {', '.join(now.by)}" if now.by else ""
        yield Event(at, "forecast", f"the slots run out in {format_duration(now.seconds)} at the present rate{by}")


def _slots(before: Slots | None, after: LeaksReport) -> Iterator[Event]:
    slots = after.slots
    if slots is None or before is None:
        return
    if _band(before.share_used, _SLOT_BANDS) != _band(slots.share_used, _SLOT_BANDS):
        usable = max(0, slots.limit - slots.reserved)
        text = f"{slots.used} of {usable} slots in use ({slots.share_used:.0%}), {slots.free} free"
        yield Event(after.observed.until, "note", text)


def _band(figure: float, edges: tuple[float, ...]) -> int:
    return sum(figure >= edge for edge in edges)


def _key(finding: Finding) -> _FindingKey:
    """A finding is the same one while its code and its group are."""
    return finding.code, tuple(sorted((finding.group or {}).items(), key=str))


def _group(group: Mapping[str, Any] | None) -> GroupKey | None:
    return GroupKey(**{name: group[name] for name in GroupKey._fields if name in group}) if group else None


def _session(finding: Finding) -> tuple[int, float | None] | None:
    """The one session that a finding is about, if it is about one."""
    if len(finding.sessions) != 1:
        return None
    started = finding.sessions[0].get("started_at")
    return finding.sessions[0]["id"], started if isinstance(started, float) else None
