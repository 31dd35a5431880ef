"""What a report says of itself in words: its verdict, its counts."""

from __future__ import annotations

from dbdoctor.model.finding import Severity
from dbdoctor.model.report import WholeReport
from dbdoctor.render.clean import clean
from dbdoctor.render.leaks_words import plural

SEVERITY_WORD = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def counted_findings(report: WholeReport) -> str:
    """`2 errors, 1 warning, 3 notes`; `nothing found` when there is nothing."""
    words = []
    for severity, word in SEVERITY_WORD.items():
        number = sum(told.finding.severity is severity for told in report.told)
        if number:
            words.append(plural(number, word))
    return ", ".join(words) or "nothing found"


def verdict(report: WholeReport) -> tuple[str, str]:
    """(a class, the verdict in a few words). What could not be looked at is never healthy."""
    examination = report.examination
    if examination is not None and not examination.connected:
        return "error", "cannot be used"
    worst = max((told.finding.severity.rank for told in report.told), default=0)
    if worst >= Severity.WARNING.rank:
        return ("error", "needs help") if worst == Severity.ERROR.rank else ("warning", "needs a look")
    if report.skipped:
        return "unknown", "nothing wrong was seen, but not all could be looked at"
    return "ok", "nothing wrong was seen"


def summary_words(report: WholeReport) -> str:
    """The last line on a terminal."""
    return f"{clean(report.target, 120)}: {verdict(report)[1]} ({counted_findings(report)})"
