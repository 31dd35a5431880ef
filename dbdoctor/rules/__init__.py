"""What a server that answers says, judged: facts in, findings out; pure. One file a rule; its docstring is its page.

A rule's file holds

    CODES   the codes of the findings it can give
    judge   (facts, target) -> its findings, or a Skipped that says what it could not see

and nothing else has to know of it: `judge_all` and `pages` read the package. Files that begin with `_` are no rules.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from dbdoctor.model.finding import Finding, Page, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target


def judge_all(facts: ServerFacts, target: Target) -> tuple[list[Finding], list[Skipped]]:
    """Every rule's judgement: findings with the worst last, and the rules that could not look.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for module in _rules():
        try:
            said = list(module.judge(facts, target))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rules must still speak
            skipped.append(_failed(module, error))
            continue
        findings += [one for one in said if isinstance(one, Finding)]
        skipped += [one for one in said if isinstance(one, Skipped)]
    return sorted(findings, key=lambda finding: finding.severity.rank), skipped


def pages() -> dict[str, Page]:
    """The page of every code that a rule can give, in the order of the codes."""
    from dbdoctor.model.page import parse_page
    from dbdoctor.rules import measured, sessions, sizing, trials

    groups = (sessions, measured, trials, sizing)
    every = [*_rules(), *(module for group in groups for module in group.modules())]
    found = {code: parse_page(code, module.__doc__ or "") for module in every for code in module.CODES}
    return dict(sorted(found.items()))


def _rules() -> Iterator[ModuleType]:
    # `pkgutil` would cost half a millisecond of every check.
    names = [file.stem for file in Path(__file__).parent.iterdir() if file.suffix == ".py"]
    for name in sorted(names):
        if not name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{name}")


def _failed(module: ModuleType, error: Exception) -> Skipped:
    rule = module.__name__.rpartition(".")[2].replace("_", "-")
    return Skipped(
        rule, f"the rule itself failed ({type(error).__name__}); this is a fault of dbdoctor, please report it"
    )
