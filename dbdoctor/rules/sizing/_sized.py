"""What the rules on sizing are given, and the code that they hand out to paste."""

from __future__ import annotations

from dataclasses import dataclass

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Budget, Recommendation, Surroundings


@dataclass(frozen=True, slots=True)
class Sized:
    """A recommendation, what it was made for, and the fleet as it is declared: between rollouts, and at their height."""

    answer: Recommendation
    around: Surroundings
    at_rest: Budget | None = None
    in_rollout: Budget | None = None

    @property
    def current(self) -> PoolSettings:
        """The settings as they are; all of them unknown where none were found."""
        return self.answer.current or PoolSettings()

    @property
    def connections(self) -> int | None:
        """What one process can open now; None when that is not known, or has no limit."""
        size, overflow = self.current.pool_size, self.current.max_overflow
        return size + overflow if size and overflow is not None and overflow >= 0 else None

    def code(self, *settings: str) -> str | None:
        """`create_engine(url, ...)` with these settings as recommended; None when none of them is."""
        found = [f"{name}={self.answer.settings[name]!r}" for name in settings if name in self.answer.settings]
        return f"create_engine(url, {', '.join(found)})" if found else None


def rows(budget: Budget) -> tuple[str, ...]:
    """The budget's lines: each service's multiplication."""
    return tuple(f"{row.service}: {row.working}" for row in budget.rows)
