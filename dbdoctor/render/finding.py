"""A finding as text: what, evidence, why, fix, the command to paste."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.render.clean import clean, clean_lines, fill
from dbdoctor.render.style import Style

_MOST_ROWS = 5
_WORD = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def finding_lines(finding: Finding, style: Style) -> Iterator[str]:
    """The finding's block; a note is one paragraph, for whoever reads this at three in the morning."""
    head = f"{_WORD[finding.severity]}[{finding.code}]:"
    text = fill(f"{head} {clean(finding.title)}", style.width, "  ", "")
    yield text.replace(head, style.severity(finding.severity.value, head), 1)
    if finding.severity is Severity.INFO:
        yield fill(clean(finding.why, 600), style.width, "  ")
        return
    for row in finding.rows[:_MOST_ROWS]:
        yield fill(clean(row), style.width, "      ", "    ")
    # Lines of code come before the lines on sessions, and stand for none of them.
    places = len(finding.rows) - min(len(finding.sessions), _MOST_ROWS) if "taken_at" in finding.evidence else 0
    everything = max(len(finding.rows), len(finding.sessions) + places)
    more = everything - min(len(finding.rows), _MOST_ROWS)
    if finding.rows and more > 0:
        yield f"    and {more} more (--json has all)"
    yield fill(clean(finding.why, 1000), style.width, "       ", "  why: ")
    yield fill(clean(finding.fix, 1000), style.width, "       ", "  fix: ")
    if finding.command:
        for line in clean_lines(finding.command):
            yield f"      {style.paint(line, 'green')}"


def skipped_lines(skipped: Skipped, style: Style) -> Iterator[str]:
    """What could not be looked at, and what would let us."""
    head = f"skipped[{skipped.rule}]:"
    text = fill(f"{head} {clean(skipped.reason)}", style.width, "  ", "")
    yield text.replace(head, style.paint(head, bold=True), 1)
    if skipped.help:
        yield fill(clean(skipped.help), style.width, "        ", "  help: ")


def by_severity(findings: tuple[Finding, ...]) -> list[Finding]:
    """Worst last, next to the summary, where the eye is."""
    return sorted(findings, key=lambda finding: finding.severity.rank)
