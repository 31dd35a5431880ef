"""What trials of pools showed, judged: a simulation's report in, findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give whose page this is
    judge           (tried) -> its findings

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.target import Target
from dbdoctor.model.trial import SimulationReport
from dbdoctor.rules._package import modules_of
from dbdoctor.rules.trials._tried import Tried


def judge_trials(report: SimulationReport, target: Target) -> tuple[Finding, ...]:
    """Every rule's findings, the worst last.

    Where the user's own pool (`current`) was tried, they are about it, and so grave as they are; else about the table's
    pools, and information only. A rule that fails says so, and never hides what the others found.
    """
    tried = Tried(report, target)
    found: list[Finding] = []
    for module in modules():
        try:
            found += module.judge(tried)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rules must still speak
            found.append(_failed(module, error))
    return tuple(sorted(found, key=lambda finding: finding.severity.rank))


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    return modules_of(__name__, __file__)


def _failed(module: ModuleType, error: Exception) -> Finding:
    code = module.__name__.rpartition(".")[2].replace("_", "-")
    return Finding(
        code=code,
        severity=Severity.INFO,
        title=f"the rule itself failed ({type(error).__name__})",
        why="what it looks for may be there or not; this is a fault of dbdoctor",
        fix="please report it",
    )
