"""What a server that answers says, judged: facts in, findings out; pure. One file a rule; its docstring is its page.

A rule's file holds

    CODES   the codes of the findings it can give
    judge   (facts, target) -> its findings, or a Skipped that says what it could not see

and nothing else has to know of it: `judge_all` and `pages` read the package. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.model.finding import Finding, Page, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._package import ask_all, modules_of


def judge_all(facts: ServerFacts, target: Target) -> tuple[list[Finding], list[Skipped]]:
    """Every rule's judgement: findings with the worst last, and the rules that could not look.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    findings, skipped = ask_all(modules(), facts, target)
    return sorted(findings, key=lambda finding: finding.severity.rank), skipped


def pages() -> dict[str, Page]:
    """The page of every code that a rule can give, in the order of the codes."""
    from dbdoctor.model.page import parse_page
    from dbdoctor.rules import measured, recorded, sessions, sizing, trials

    groups = (sessions, measured, trials, sizing, recorded)
    every = [*modules(), *(module for group in groups for module in group.modules())]
    found = {code: parse_page(code, module.__doc__ or "") for module in every for code in module.CODES}
    return dict(sorted(found.items()))


def modules() -> Iterator[ModuleType]:
    """Every module of a rule about a server, by name."""
    return modules_of(__name__, __file__)
