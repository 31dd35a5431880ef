"""The shipped schemas as tests use them: stricter than for users, since what is written and not described is an omission."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from dbdoctor.schemas import load

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(text: object) -> bool:
    return not isinstance(text, str) or (text.endswith("Z") and datetime.fromisoformat(text).utcoffset() is not None)


def strict(node: Any, *, part: bool = False) -> Any:
    """The schema with no keys let through but those that it names; `part` says that another adds keys to this object."""
    if isinstance(node, list):
        return [strict(one, part=part) for one in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            found[key] = {name: strict(one, part=key == "$defs") for name, one in value.items()}
        elif key in ("const", "enum", "required"):
            found[key] = value
        else:
            found[key] = strict(value, part=key == "allOf")
    if not part and ("properties" in node or "$ref" in node):
        found["unevaluatedProperties"] = False
    return found


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(strict(load(name)), format_checker=_FORMATS)


def problems(name: str, text: str) -> list[str]:
    """What is wrong with a JSON text, where; nothing when it is as the schema says."""
    found = validator(name).iter_errors(json.loads(text, parse_constant=_no_number))
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def lines_of(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip())


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
