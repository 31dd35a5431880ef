"""A second opinion on T-SQL: sqlfluff's grammar, which knows words that sqlglot lets pass."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def _linter() -> Any:
    from sqlfluff.core import FluffConfig, Linter

    return Linter(config=FluffConfig(overrides={"dialect": "tsql"}))


def faults(sql: str) -> list[str]:
    """What is wrong with a batch, by line; none for one that parses."""
    return [f"line {each.line_no}: {each.desc()}" for each in _linter().parse_string(sql).violations]
