"""The formats of other people's tools: builds that mark what is wrong, test reports, monitoring. One file a format.

A format's file holds

    COMMANDS    the commands that can answer in it
    MEANING     what it is, in a few words
    lines       (outcomes) -> the lines of the answer
    exit_code   (outcomes) -> the exit code, only where the tool wants others than ours

and nothing else has to know of it: `--format`, its help and shell completion read the package.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def formats_of(command: str) -> dict[str, ModuleType]:
    """The formats that a command can answer in, by name."""
    # `pkgutil` would cost half a millisecond.
    names = sorted(each.stem for each in Path(__file__).parent.iterdir() if each.suffix == ".py")
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names if not name.startswith("_")}
    return {name: module for name, module in modules.items() if command in module.COMMANDS}
