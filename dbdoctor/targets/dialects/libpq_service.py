"""`service=name`: a section of libpq's service file, and nothing else in the string."""

from __future__ import annotations

import re

from dbdoctor.model.target import Target
from dbdoctor.targets.dialects.libpq_keyvalue import target_of

NAME = "service name"

_SHAPE = re.compile(r"\s*service\s*=\s*(?:'[^']*'|[^\s';]*)\s*")


def recognises(text: str) -> bool:
    """Whether `service=` is all there is."""
    return _SHAPE.fullmatch(text) is not None


def read(text: str) -> Target:
    """The Target that is to be completed from the service file. Raises UsageError."""
    return target_of(text, NAME)
