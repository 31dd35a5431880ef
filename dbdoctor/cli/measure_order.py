"""What `measure-timeout` was asked to do, as one value that can be handed to another process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.model.measured import MeasureOptions

if TYPE_CHECKING:
    from dbdoctor.targets.select import Selection


class Order(NamedTuple):
    """`target` is as typed, so a password may be in it: it goes through a pipe and into no file."""

    target: str | None
    options: MeasureOptions
    login_timeout: float | None
    wants_json: bool
    fail_on: str | None
    config: str | None
    no_config: bool
    trust: bool
    no_color: bool
    debug: bool

    def select(self) -> Selection:
        """The target that is meant. Raises UsageError and its kinds."""
        from dbdoctor.targets.select import select_targets

        return select_targets(
            [self.target] if self.target else [],
            config=Path(self.config) if self.config else None,
            use_config=not self.no_config,
            trust=self.trust,
        )

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self._asdict(), "options": self.options._asdict()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Order:
        """From what `plain` gave."""
        return cls(**{**plain, "options": MeasureOptions(**plain["options"])})
