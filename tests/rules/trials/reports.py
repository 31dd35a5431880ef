"""Reports of simulations, made of a few cases."""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.model.trial import Case, FaultFacts, Host, PoolPlan, Scale, Scenario, SimulationReport

SCALE = Scale(4.0, 350.0)
SILENT = FaultFacts("silent-drop", "dropped in silence", "firewalls", Scenario.IDLE, True)
IGNORES = FaultFacts("silent-drop-ignores-keepalive", "the same", "gateways", Scenario.IDLE, False)
CLOSED = FaultFacts("closed", "closed in order", "HAProxy", Scenario.IDLE, False)
LOST = FaultFacts("lost-reply", "the answer is lost", "firewalls", Scenario.QUERY, True)
RESTART = FaultFacts("server-restart", "the server restarts", "", Scenario.IDLE, True, by_idleness=False, away=True)
FAULTS = (SILENT, IGNORES, CLOSED, LOST, RESTART)
TARGET = Target(Product.POSTGRESQL, (Endpoint("db", 5432),), user="app", pool=PoolSettings(processes=4))
MSSQL = Target(Product.SQLSERVER, (Endpoint("db", 1433),), user="app")


def report(pools: Sequence[PoolPlan], cases: Sequence[Case], *, cheapest: str | None = None) -> SimulationReport:
    return SimulationReport(
        target="postgresql://app@db:5432",
        product="postgresql",
        scale=SCALE,
        faults=FAULTS,
        pools=tuple(pools),
        cases=tuple(cases),
        host=Host(15, (7200, 75, 9)),
        server="PostgreSQL 18.6",
        took=50.0,
        cheapest=cheapest,
    )
