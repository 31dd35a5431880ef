"""What sessions over time say, judged: a history in, groups with verdicts and findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give
    judge           (watched) -> Judged, or a Skipped that says what it could not see

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from dbdoctor.history import History
from dbdoctor.model.leaks import LeaksReport
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._package import ask_all, modules_of
from dbdoctor.rules.sessions._report import make_report
from dbdoctor.rules.sessions._watched import Watched


def judge_leaks(
    history: History, target: Target, facts: ServerFacts | None, *, with_sessions: bool = False
) -> LeaksReport:
    """Everything that is to be said of what was seen so far; `with_sessions` lists each session with its verdict.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    watched = Watched(history, target, facts)
    judged, skipped = ask_all(modules(), watched)
    return make_report(watched, judged, skipped, with_sessions=with_sessions)


def modules() -> Iterator[ModuleType]:
    """Every rule's module, by name."""
    return modules_of(__name__, __file__)
