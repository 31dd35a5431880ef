"""JSON Schemas (draft 2020-12) of everything that dbdoctor writes for programs: one file an output, read from the package.

Keys that may be added later are let through, as the README promises; what several outputs have alike is in
`_shared.json`, and put into each schema that refers to it, so that each is whole by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_TO_SHARED = "#/$defs/"


def names() -> list[str]:
    """What `load` takes: the command's name, or that of a file that dbdoctor writes."""
    return sorted(path.stem for path in _HERE.glob("*.json") if not path.stem.startswith("_"))


def load(name: str) -> dict[str, Any]:
    """The schema of that name, whole. Raises KeyError for a name that is none of `names()`."""
    if name not in names():
        raise KeyError(name)
    schema = _read(name)
    own = schema.pop("$defs", {})
    known = {**_read("_shared")["$defs"], **own}
    wanted: dict[str, Any] = {}
    left = list(_references([schema, own]))
    while left:
        found = left.pop()
        if found not in wanted:
            wanted[found] = known[found]
            left += _references(known[found])
    return {**schema, "$defs": dict(sorted(wanted.items()))} if wanted else schema


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_HERE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _references(value: Any) -> Iterator[str]:
    """The names that `$ref` points at, anywhere in it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str) and item.startswith(_TO_SHARED):
                yield item.removeprefix(_TO_SHARED)
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
