"""Everything about one target, whole: the value from which `dbdoctor report` makes its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dbdoctor.model.advice import Advice
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.leaks import GroupKey, LeaksReport
from dbdoctor.model.recorded_summary import Summary
from dbdoctor.model.trial import SimulationReport


class Span(NamedTuple):
    """The least and the most that was counted within a moment."""

    least: int
    most: int


class Moment(NamedTuple):
    """What was counted from `since` to `until` (server's clock, Unix seconds): one sample, or several beside each other.

    `groups` are sessions; a group that is not there had none. `slots` are the used ones; None: not read.
    """

    since: float
    until: float
    groups: Mapping[GroupKey, Span]
    slots: Span | None = None


class Told(NamedTuple):
    """A finding, and the command that tells it too."""

    finding: Finding
    command: str


class Traced(NamedTuple):
    """What a recorder saw inside the application: summed up by line of code, and judged."""

    summary: Summary
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class WholeReport:
    """One target's report. `made_at` is Unix seconds by our clock; `source` says in words what it was made from.

    What was not looked at is None, and `absent` says why by the part's name (`check`, `leaks`, `simulate`, `recommend`,
    `trace`): a reason, and the command that would look, or None. `timeline` holds None for a time in which nobody looked.
    """

    target: str
    made_at: float
    version: str
    source: str
    examination: Examination | None = None
    leaks: LeaksReport | None = None
    timeline: tuple[Moment | None, ...] = ()
    simulation: SimulationReport | None = None
    advice: Advice | None = None
    traced: Traced | None = None
    absent: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[Told, ...]:
        """Every finding once, the worst first, with the command that it is from."""
        parts = (
            ("leaks", self.leaks.findings if self.leaks else ()),
            ("check", self.examination.findings if self.examination else ()),
            ("simulate-timeout", self.simulation.findings if self.simulation else ()),
            ("recommend", self.advice.findings if self.advice else ()),
            ("trace", self.traced.findings if self.traced else ()),
        )
        found: dict[tuple[str, str], Told] = {}
        for command, findings in parts:
            for finding in findings:
                found.setdefault((finding.code, finding.title), Told(finding, command))
        return tuple(sorted(found.values(), key=lambda one: -one.finding.severity.rank))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The rules that could not look, each once."""
        parts = (self.examination, self.leaks, self.advice, self.traced)
        return tuple(dict.fromkeys(one for part in parts if part is not None for one in part.skipped))
