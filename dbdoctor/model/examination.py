"""What `check` found out about one target, whole: the value from which text and JSON are made."""

from __future__ import annotations

from dataclasses import dataclass

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.stage import Stage, Timings
from dbdoctor.model.target import Target


@dataclass(frozen=True, slots=True)
class Examination:
    """One target's stages, what the server says of itself, and the findings. `seconds` is the whole probe's wall time.

    `connected` is whether a first query was answered: if not, the failure is the finding of severity error.
    `timings_note` says why fewer samples than asked for were taken, when that is so.
    """

    target: Target
    connected: bool
    seconds: float
    stages: tuple[Stage, ...] = ()
    facts: ServerFacts | None = None
    timings: Timings | None = None
    timings_note: str | None = None
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, or None."""
        return max((finding.severity for finding in self.findings), key=lambda severity: severity.rank, default=None)
