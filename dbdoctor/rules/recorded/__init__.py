"""What the recorder inside an application saw, judged: a summary by line of code in, findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give
    judge           (summary) -> its findings

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.recorded_summary import Summary
from dbdoctor.rules._package import ask_all, modules_of


def judge_recorded(summary: Summary) -> tuple[list[Finding], list[Skipped]]:
    """Every rule's findings, the worst last; a rule that fails is among those that could not look."""
    found, skipped = ask_all(modules(), summary)
    return sorted(found, key=lambda finding: finding.severity.rank), skipped


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    return modules_of(__name__, __file__)
