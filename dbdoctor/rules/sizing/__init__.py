"""The current pool settings, judged beside what was recommended: a Sized in, findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give whose page this is
    judge           (sized) -> its findings

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.rules.sizing._sized import Sized


def judge_sizing(sized: Sized) -> tuple[list[Finding], list[Skipped]]:
    """Every rule's findings, the worst last, and the rules that could not look.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    found: list[Finding] = []
    skipped: list[Skipped] = []
    for module in modules():
        try:
            said = list(module.judge(sized))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rules must still speak
            skipped.append(_failed(module, error))
            continue
        found += [one for one in said if isinstance(one, Finding)]
        skipped += [one for one in said if isinstance(one, Skipped)]
    return sorted(found, key=lambda finding: finding.severity.rank), skipped


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    for name in sorted(file.stem for file in Path(__file__).parent.iterdir() if file.suffix == ".py"):
        if not name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{name}")


def _failed(module: ModuleType, error: Exception) -> Skipped:
    rule = module.__name__.rpartition(".")[2].replace("_", "-")
    return Skipped(
        rule, f"the rule itself failed ({type(error).__name__}); this is a fault of dbdoctor, please report it"
    )


__all__ = ["Sized", "judge_sizing", "modules"]
