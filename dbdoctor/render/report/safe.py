"""The redaction of a whole report before anything is made of it: every text that could hold a secret, however deep."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from dbdoctor.model.secret import Secret, redact

_Value = TypeVar("_Value")
# What is the target's own name, which every command prints, or a word of ours: a mask there would tell of the secret.
_OURS = frozenset(
    {"target", "code", "product", "version", "fault", "pool", "name", "pool_class", "rule", "lines", "setting"}
)


def redacted(value: _Value) -> _Value:
    """The same value, with every known secret masked in its texts. Secrets themselves and targets are left as they are."""
    found: _Value = _redacted(value)
    return found


def _redacted(value: Any) -> Any:
    if isinstance(value, Enum | Secret) or value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **_fields(changed))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        named: Any = value
        return named._replace(**_fields(named._asdict()))
    if isinstance(value, Mapping):
        return {_redacted(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return type(value)(_redacted(item) for item in value)
    return value


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item if name in _OURS else _redacted(item) for name, item in fields.items()}
