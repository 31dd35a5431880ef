"""Faults that the server itself commits, because a setting of the session tells it to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dbdoctor.faults.fault import Fault, Surroundings
from dbdoctor.model.target import Product


class ServerSetting(Fault):
    """`setting` is set to the idle timeout, on the trial's own sessions only; PostgreSQL has it since version `since`."""

    products = (Product.POSTGRESQL,)
    counts_keepalives = False
    setting: ClassVar[str]
    since: ClassVar[int]

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Where the server does not know the setting, or a pooler does not let it be told."""
        if around.product is Product.POSTGRESQL and around.version // 10000 < cls.since:
            return (
                f"not testable here, because PostgreSQL {around.version // 10000} does not know {cls.setting}; "
                f"run with PostgreSQL {cls.since} or later"
            )
        if around.pooler:
            return (
                f"not testable here, because {around.pooler} sits between, whose sessions are not ours alone; "
                "run with the server's own address"
            )
        return super().unable(around)

    def session_settings(self) -> Mapping[str, str]:
        """The setting, in milliseconds."""
        return {self.setting: f"{self.idle * 1000:.0f}ms"}
