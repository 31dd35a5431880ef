"""What the rules say of a SQL Server is in its own words, however bad it is; PostgreSQL's own rules say nothing."""

from __future__ import annotations

from dataclasses import replace

from dbdoctor.model.finding import Finding
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import Missing, ServerFacts, Slots
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.rules import judge_all
from tests.probe.sqlserver_named import speaks_no_postgresql

TARGET = Target(
    Product.SQLSERVER,
    (Endpoint("db.example", 1433),),
    user="shop]s",
    database="shop",
    parameters={"Encrypt": "no"},
    pool=PoolSettings(pool_size=50, max_overflow=50, processes=4, pool_recycle=-1),
    path_idle_timeout=60.0,
)
WORST = ServerFacts(
    product="SQL Server",
    version="2016 SP3 (13.0.6300.2)",
    version_number=130_000,
    uptime=30.0,
    is_standby=True,
    replica_lag=4000.0,
    slots=Slots(300, 0, 290, (("shop", "shop", 289),)),
    user="shop]s",
    database="shop",
    server_time=1_800_000_000.0,
    clock_skew=500.0,
    clock_uncertainty=0.01,
    hidden_sessions=None,
    missing=(Missing("the sessions of other logins", "no right", "GRANT VIEW SERVER STATE TO [shop]]s];"),),
    extra={"client_address": "10.0.0.9", "server_offers_tls": False, "states": {"idle": 289, "active": 1}},
)


def said(facts: ServerFacts, target: Target = TARGET) -> dict[str, Finding]:
    findings, skipped = judge_all(facts, target)
    for finding in findings:
        texts = (finding.title, finding.why, finding.fix, finding.command or "", *finding.rows, str(finding.evidence))
        speaks_no_postgresql(" ".join(texts))
    for one in skipped:
        assert "the rule itself failed" not in one.reason
        speaks_no_postgresql(f"{one.reason} {one.help}")
    return {finding.code: finding for finding in findings}


def test_at_its_worst() -> None:
    found = said(WORST)
    assert {"slots-nearly-full", "tls-not-used", "clock-skew", "recently-restarted", "pool-exceeds-slots"} <= set(found)
    assert "sys.dm_exec_sessions" in (found["slots-nearly-full"].command or "")
    assert "Encrypt=no says so" in found["tls-not-used"].why
    assert "Encrypt=yes" in found["tls-not-used"].fix
    assert "this login" in found["view-restricted"].title


def test_nothing_known() -> None:
    said(ServerFacts(product="SQL Server", version="", version_number=0))


def test_azure_s_gateway() -> None:
    facts = replace(WORST, product="Azure SQL Database", settings={"azure_gateway_idle_timeout": 1800.0})
    said(facts)
