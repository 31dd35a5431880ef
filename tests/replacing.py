"""A value with other fields, be it a dataclass or a NamedTuple."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

Value = TypeVar("Value")


def replace(value: Value, **changes: Any) -> Value:
    """The same, but for these fields."""
    if isinstance(value, tuple):
        return value._replace(**changes)  # type: ignore[attr-defined, no-any-return]
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]
