"""What sessions over time say, judged: a history in, groups with verdicts and findings out; pure. One file a rule.

A rule's file holds

    its docstring   the page of `dbdoctor explain`
    CODES           the codes of the findings it can give
    judge           (watched) -> Judged, or a Skipped that says what it could not see

and nothing else has to know of it. Files that begin with `_` are no rules.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from dbdoctor.history import History
from dbdoctor.model.finding import Skipped
from dbdoctor.model.leaks import LeaksReport
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules.sessions._report import make_report
from dbdoctor.rules.sessions._watched import Judged, Watched


def judge_leaks(
    history: History, target: Target, facts: ServerFacts | None, *, with_sessions: bool = False
) -> LeaksReport:
    """Everything that is to be said of what was seen so far; `with_sessions` lists each session with its verdict.

    A rule that fails is a Skipped of its own: one rule's fault never hides what the others found.
    """
    watched = Watched(history, target, facts)
    judged: list[Judged] = []
    skipped: list[Skipped] = []
    for module in modules():
        try:
            said = list(module.judge(watched))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rules must still speak
            skipped.append(_failed(module, error))
            continue
        judged += [one for one in said if isinstance(one, Judged)]
        skipped += [one for one in said if isinstance(one, Skipped)]
    return make_report(watched, judged, skipped, with_sessions=with_sessions)


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
