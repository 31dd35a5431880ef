"""What a command found out about one target, as the tools of others want it: tests passed, failed or not run, and figures."""

from __future__ import annotations

from typing import NamedTuple

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.stage import Stage


class Figure(NamedTuple):
    """A measured number for a graph. `unit` is `s` for seconds, else empty for a count.

    `warning` and `critical` are the highest values that are still well; `least` and `most` what it can be at all.
    """

    name: str
    value: float
    unit: str = ""
    warning: float | None = None
    critical: float | None = None
    least: float | None = None
    most: float | None = None


class Outcome(NamedTuple):
    """One command's result for one target.

    `reached` is whether the server could be looked at, or did not need to be. `codes` are those of the rules that would
    have been asked: each is a test, that passes without a finding. `fail_from` is the least severity that fails, None for
    none. `seconds` is how long it took.
    """

    command: str
    target: str
    reached: bool
    seconds: float | None
    codes: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    stages: tuple[Stage, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    fail_from: Severity | None = Severity.ERROR

    def fails(self, finding: Finding) -> bool:
        """Whether this finding makes the command fail; what cannot be reached always does."""
        if not self.reached and finding.severity is Severity.ERROR:
            return True
        return self.fail_from is not None and finding.severity.rank >= self.fail_from.rank

    @property
    def by_severity(self) -> list[Finding]:
        """The findings, the worst first: where a reader stops early."""
        return sorted(self.findings, key=lambda finding: -finding.severity.rank)

    @property
    def headline(self) -> str:
        """`1 error, 2 warnings, 1 rule could not look`: what was found, in a line; not cleaned."""
        words = []
        for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")):
            number = sum(finding.severity is severity for finding in self.findings)
            if number:
                words.append(_counted(number, word))
        if not words:
            words.append("nothing found")
        if self.skipped:
            words.append(f"{_counted(len(self.skipped), 'rule')} could not look")
        return ("" if self.reached else "no way in: ") + ", ".join(words)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
