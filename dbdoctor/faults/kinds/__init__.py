"""The faults, one file each: a file here is all it takes, and its docstring is the page that `explain` shows.

`all_faults` reads the package; a file holds one subclass of `Fault`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from pathlib import Path

from dbdoctor.faults.fault import Fault
from dbdoctor.model.finding import Page


@functools.cache
def all_faults() -> dict[str, type[Fault]]:
    """Every fault by its code, those that are tried by default first, then in the order of their codes."""
    found: list[type[Fault]] = []
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"{__name__}.{file.stem}")
        found += [
            each
            for _, each in inspect.getmembers(module, inspect.isclass)
            if issubclass(each, Fault) and each.__module__ == module.__name__
        ]
    return {fault.code: fault for fault in sorted(found, key=lambda fault: (not fault.by_default, fault.code))}


def pages() -> dict[str, Page]:
    """The page of every fault, by its code."""
    from dbdoctor.model.page import parse_page

    return {
        code: parse_page(code, sys.modules[fault.__module__].__doc__ or "")
        for code, fault in sorted(all_faults().items())
    }
