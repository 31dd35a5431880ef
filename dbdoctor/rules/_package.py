"""What every package of rules does alike: its modules are its rules, and one rule's fault never hides what others found."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dbdoctor.model.finding import Skipped


def modules_of(package: str, file: str) -> Iterator[ModuleType]:
    """Every rule's module of a package (its `__name__` and `__file__`), by name; those that begin with `_` are no rules."""
    # `pkgutil` would cost half a millisecond of every check.
    for name in sorted(each.stem for each in Path(file).parent.iterdir() if each.suffix == ".py"):
        if not name.startswith("_"):
            yield importlib.import_module(f"{package}.{name}")


def ask_all(modules: Iterable[ModuleType], *values: object) -> tuple[list[Any], list[Skipped]]:
    """What the rules' `judge` say of these values, and the rules that could not look; one that fails is among these."""
    said: list[Any] = []
    skipped: list[Skipped] = []
    for module in modules:
        try:
            found = list(module.judge(*values))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rules must still speak
            skipped.append(_failed(module, error))
            continue
        said += [one for one in found if not isinstance(one, Skipped)]
        skipped += [one for one in found if isinstance(one, Skipped)]
    return said, skipped


def _failed(module: ModuleType, error: Exception) -> Skipped:
    rule = module.__name__.rpartition(".")[2].replace("_", "-")
    return Skipped(
        rule, f"the rule itself failed ({type(error).__name__}); this is a fault of dbdoctor, please report it"
    )
