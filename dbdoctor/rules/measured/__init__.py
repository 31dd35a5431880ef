"""What a measured idle timeout means for the pool: a measurement in, findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give
    judge           (measured) -> its findings

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.model.finding import Finding
from dbdoctor.model.measured import Measured
from dbdoctor.rules._package import modules_of


def judge_measured(measured: Measured) -> list[Finding]:
    """Every rule's findings, the worst last."""
    found = [finding for module in modules() for finding in module.judge(measured)]
    return sorted(found, key=lambda finding: finding.severity.rank)


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    return modules_of(__name__, __file__)
