"""The redaction of a whole report before anything is made of it: every text that could hold a secret, however deep."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from dbdoctor.model.report import WholeReport
from dbdoctor.model.secret import Secret, redact

# Words of ours, and the target as every command prints it.
_OURS = frozenset({"target", "code", "fault", "pool", "name", "pool_class", "rule", "setting"})


def redacted(report: WholeReport) -> WholeReport:
    """The same report, with every known secret masked in its texts, but those that its target's name shows to everybody."""
    safe: WholeReport = _Masking(report.target).of(report)
    return safe


class _Masking:
    def __init__(self, public: str) -> None:
        self._public = public

    def of(self, value: Any) -> Any:
        """The value, whatever it is made of."""
        if isinstance(value, Enum | Secret) or value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return redact(value, public=self._public)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
            return dataclasses.replace(value, **self._fields(fields))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            named: Any = value
            return named._replace(**self._fields(named._asdict()))
        if isinstance(value, Mapping):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, tuple | list | frozenset | set):
            return type(value)(self.of(item) for item in value)
        return value

    def _fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: item if name in _OURS else self.of(item) for name, item in fields.items()}
