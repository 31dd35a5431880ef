"""What dbdoctor says: a finding is a value, and the text is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Severity(str, Enum):
    """How bad it is. `ERROR` fails by default, `WARNING` only with `--fail-on warning`."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """3 for an error, 2 for a warning, 1 for information."""
        return {"error": 3, "warning": 2, "info": 1}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: what (with the figure), evidence, why it matters here, fix, and what to paste.

    `code` is a readable slug that never changes meaning and has a page (`dbdoctor explain CODE`).
    `evidence` holds JSON values only; a duration's key ends in `_seconds`. `sessions` are `{"id", "started_at"}`.
    `rows` are ready lines of evidence for people; the renderer shows at most five.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    command: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    group: Mapping[str, Any] | None = None
    sessions: tuple[Mapping[str, Any], ...] = ()


class Skipped(NamedTuple):
    """A rule that could not look. *Could not look* is never *healthy*: it is shown, with the help that would let it see."""

    rule: str
    reason: str
    help: str | None = None


class Page(NamedTuple):
    """The page behind a code (`dbdoctor explain CODE`): what it means, why it matters, what to do. Markdown-free text."""

    code: str
    summary: str
    means: str
    matters: str
    do: str
    example: str | None = None
