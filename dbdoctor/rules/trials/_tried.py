"""What the rules on trials are given, and how they answer: whose pool it is about, and how grave that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import Case, FaultFacts, Outcome, PoolPlan, Scenario, SimulationReport
from dbdoctor.rules.trials._words import MOST_ROWS, row

CURRENT = "current"
# pool_recycle against the idle timeout, and the client's keepalive: what the table's own pools have.
_RECYCLE_SHARE = 0.8
_KEEPALIVE_SHARE = 0.25


class Hit(NamedTuple):
    """A trial that a finding is about."""

    plan: PoolPlan
    fault: FaultFacts
    case: Case

    @property
    def fails(self) -> bool:
        """Whether the application saw anything but answers."""
        return self.case.outcome is not Outcome.SURVIVES

    @property
    def hangs(self) -> bool:
        """Whether a request had not ended when the trial was."""
        return self.case.outcome is Outcome.HANGS

    @property
    def is_login(self) -> bool:
        """Whether what hangs is a login: no connection was lost."""
        return self.fault.stalls_login

    @property
    def is_idle_timeout(self) -> bool:
        """Whether the fault is one that ends what has been idle for long."""
        return self.fault.scenario is Scenario.IDLE and self.fault.by_idleness


class Tried(NamedTuple):
    """A simulation, and its target."""

    report: SimulationReport
    target: Target

    @property
    def is_own(self) -> bool:
        """Whether the user's own pool was tried."""
        return any(plan.name == CURRENT for plan in self.report.pools)

    def hits(self) -> Iterator[Hit]:
        """The trials that were made: of the user's own pool if it is among them, else of all."""
        own = self.is_own
        for plan in self.report.pools:
            if own and plan.name != CURRENT:
                continue
            for fault in self.report.faults:
                case = self.report.case(fault.code, plan.name)
                if case is not None and case.testable and case.outcome is not None:
                    yield Hit(plan, fault, case)

    def finding(
        self,
        code: str,
        severity: Severity,
        hits: Sequence[Hit],
        *,
        title: str,
        why: str,
        fix: str,
        command: str | None = None,
        evidence: dict[str, Any] | None = None,
        rows: Sequence[str] | None = None,
    ) -> Finding:
        """About these trials; `severity` is what it is for the user's own pool, `rows` what each of them showed."""
        return Finding(
            code=code,
            severity=severity if self.is_own else Severity.INFO,
            title=title,
            why=why,
            fix=fix,
            command=command,
            evidence={
                "pools": list(dict.fromkeys(hit.plan.name for hit in hits)),
                "faults": list(dict.fromkeys(hit.fault.code for hit in hits)),
                **(evidence or {}),
            },
            rows=tuple(rows or (row(hit.plan, hit.fault, hit.case) for hit in hits))[:MOST_ROWS],
        )

    # Real values to paste

    @property
    def recycle(self) -> int:
        """A `pool_recycle` (s) below the path's idle timeout."""
        return max(1, int(_RECYCLE_SHARE * self.report.scale.real))

    @property
    def keepalive(self) -> int:
        """A keepalive (s) below it."""
        return max(1, int(_KEEPALIVE_SHARE * self.report.scale.real))

    @property
    def recycle_code(self) -> str:
        """An engine whose pool replaces its connections in time."""
        return f"create_engine(url, pool_recycle={self.recycle})"

    @property
    def keepalive_code(self) -> str:
        """An engine whose connections are kept alive."""
        if self.target.product is Product.SQLSERVER:
            arguments = [f'"KeepAlive": "{min(30, self.keepalive)}"', '"KeepAliveInterval": "1"']
        else:
            interval = max(1, min(10, int(self.report.scale.real / 20)))
            values = {"idle": self.keepalive, "interval": interval, "count": 3}
            arguments = [f'"keepalives_{name}": {value}' for name, value in values.items()]
        inside = "\n".join(f"    {argument}," for argument in arguments)
        return f"create_engine(url, connect_args={{\n{inside}\n}})"
