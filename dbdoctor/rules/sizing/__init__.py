"""The current pool settings, judged beside what was recommended: a Sized in, findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give whose page this is
    judge           (sized) -> its findings

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.rules._package import ask_all, modules_of
from dbdoctor.rules.sizing._sized import Sized


def judge_sizing(sized: Sized) -> tuple[list[Finding], list[Skipped]]:
    """Every rule's findings, the worst last, and the rules that could not look.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    found, skipped = ask_all(modules(), sized)
    return sorted(found, key=lambda finding: finding.severity.rank), skipped


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    return modules_of(__name__, __file__)


__all__ = ["Sized", "judge_sizing", "modules"]
