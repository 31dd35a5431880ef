"""Names that come from outside as label values: harmless, cut short, and never more of them than were agreed.

Whoever may log in chooses an application name, and could choose a new one each time; a label value lives as long as
Prometheus keeps its data. So each target has a fixed number of places for groups, a place is kept for an hour after its
group was last seen, and what finds none is counted together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbdoctor.model.leaks import GroupReport, Verdict
from dbdoctor.model.secret import redact
from dbdoctor.model.target import Target
from dbdoctor.render.clean import clean
from dbdoctor.serve.state import Counts, Group

MOST_GROUPS = 20
"""Places of a target; so many groups, and one for all others, have series of their own."""
OTHERS = "(others)"
"""The application name of what found no place."""
# The last places are for groups that are suspect or leak: healthy ones must not fill all of them.
_FOR_ANYBODY = MOST_GROUPS * 3 // 4
_KEPT = 3600.0
_LONGEST_NAME, _LONGEST_TARGET = 64, 120

_Key = tuple[str, str, str]


def label(text: str | None, most: int = _LONGEST_NAME) -> str:
    """A text from outside as a label value: no secret, no control characters, at most so many characters."""
    return clean(redact(text), most) if text else ""


def names_of(targets: Iterable[Target]) -> list[str]:
    """A name for each target, no two alike: its profile, else who and where."""
    taken: dict[str, int] = {}
    names = []
    for target in targets:
        name = label(target.profile or target.shown, _LONGEST_TARGET)
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    return names


class Places:
    """Which groups of one target have series of their own: at most MOST_GROUPS, and no more new ones in an hour."""

    def __init__(self) -> None:
        self._seen_at: dict[_Key, float] = {}

    def settle(self, reports: Sequence[GroupReport], now: float) -> tuple[Group, ...]:
        """The groups as they are shown, the worst first; those without a place summed up under OTHERS.

        `now` is in seconds of any clock that does not go back.
        """
        self._seen_at = {key: at for key, at in self._seen_at.items() if now - at < _KEPT}
        merged: dict[_Key, Group] = {}
        for group in map(_group, reports):
            key = group[:3]
            merged[key] = _together(merged[key], group) if key in merged else group
        groups = sorted(merged.values(), key=lambda group: (-group.verdict.rank, -sum(group.counts)))
        shown: dict[_Key, Group] = {}
        for group in groups:
            key = group[:3]
            if self._admit(key, group.verdict, now):
                shown[key] = group
            else:
                other = group._replace(application=OTHERS, user="", database="")
                before = shown.get(other[:3])
                shown[other[:3]] = _together(before, other) if before else other
        return tuple(shown.values())

    def _admit(self, key: _Key, verdict: Verdict, now: float) -> bool:
        most = MOST_GROUPS if verdict.rank >= Verdict.SUSPECT.rank else _FOR_ANYBODY
        if key not in self._seen_at and len(self._seen_at) >= most:
            return False
        self._seen_at[key] = now
        return True


def _group(report: GroupReport) -> Group:
    key = report.key
    counts = Counts(report.active, report.idle, report.idle_in_transaction, report.hidden)
    return Group(label(key.application), label(key.user), label(key.database), counts, report.verdict)


def _together(one: Group, other: Group) -> Group:
    counts = Counts(*(a + b for a, b in zip(one.counts, other.counts, strict=True)))
    return one._replace(counts=counts, verdict=max(one.verdict, other.verdict, key=lambda verdict: verdict.rank))
