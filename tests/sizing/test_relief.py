"""What is advised where the server cannot hold what is wanted, and behind a pooler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.server import Pooler, ServerFacts, Slots
from dbdoctor.model.sizing import PoolerLimits, Recommendation, Service, Surroundings, WaitTarget
from dbdoctor.sizing.case import Case, solve
from dbdoctor.sizing.merged import dealt_to
from dbdoctor.sizing.pooled import at_pooler
from dbdoctor.sizing.relief import relief
from tests.sizing import demands
from tests.sizing.test_choice import trace


def facts(limit: int, **more: object) -> ServerFacts:
    return replace(ServerFacts("PostgreSQL", "18", 180_000, slots=Slots(limit, 3, 0)), **more)  # type: ignore[arg-type]


def advised(case: Case):
    return list(relief(case, solve(case).budget))


@pytest.fixture(scope="module")
def four() -> Trace:
    """Four processes with a load of 2 each."""
    courses = (demands.poisson(2, 60, seed)._replace(process=str(seed)) for seed in range(1, 5))
    return trace(*courses)


def test_where_all_fits_nothing_is_advised(four):
    assert advised(Case(four, Service("shop", workers=4), facts=facts(100))) == []
    assert advised(Case(four, Service("shop", workers=4))) == []
    assert advised(Case(four, Service("shop", workers=4), facts=replace(facts(20), product="SQL Server"))) == []


def test_a_few_connections_more_are_cheap_and_the_other_ways_are_told(four):
    case = Case(four, Service("shop", workers=4), facts=facts(20))
    (one,) = advised(case)
    budget = solve(case).budget
    assert budget is not None
    wanted = budget.rows[0].wanted
    assert one.setting == "max_connections"
    assert one.value == 20 + 4 * wanted - (20 - 3 - 3)
    assert one.evidence["more"] == one.value - 20
    # Less than four times what each needs alone: they share the peaks.
    assert 8 < one.evidence["pooled"] < one.evidence["halved"] < 4 * wanted
    assert "2 processes in a replica with twice the threads" in one.reason
    assert "a pooler in transaction mode" in one.reason


def test_hundreds_more_are_a_pooler_s_business():
    case = Case(Stated(25, 0.02), Service("shop", replicas=50, workers=4), facts=facts(400))
    (one,) = advised(case)
    assert (one.setting, one.value) == ("pooler", "transaction mode")
    assert one.evidence["pooled"] <= one.evidence["usable"]
    assert "which fit" in one.reason
    too_much = advised(replace(case, demand=Stated(500, 0.02)))[0]
    assert too_much.setting == "max_connections"
    assert "look for fewer processes or replicas first" in too_much.reason


def test_the_neighbours_count(four):
    case = Case(four, Service("shop", workers=4), others=(Service("jobs", size=30),), facts=facts(40))
    (one,) = advised(case)
    budget = solve(case).budget
    assert budget is not None
    assert one.value == 40 + sum(row.wanted * row.pools for row in budget.rows) - budget.usable


@pytest.mark.parametrize(
    "demand", [Stated(100, 0.02), Samples(((1, 3, 2) * 30, (2, 1, 3) * 30, (3, 2, 1) * 30, (1, 1, 1) * 30), 0.5)]
)
def test_what_is_shared_is_less_than_the_sum(demand):
    target = WaitTarget()
    alone = solve(Case(demand, Service("shop", workers=4))).connections
    together = dealt_to(demand, 4, 1, target)
    assert alone is not None
    assert together is not None
    assert alone < together < 4 * alone
    assert dealt_to(None, 4, 1, target) is None


def behind(demand: object, **more: object) -> tuple[Case, Recommendation]:
    around = Surroundings(pooler="PgBouncer", pooler_mode="transaction")
    case = Case(
        demand,  # type: ignore[arg-type]
        Service("shop", workers=4),
        facts=facts(100, pooler=Pooler("PgBouncer", None, "transaction")),
        around=around,
        **more,  # type: ignore[arg-type]
    )
    return case, at_pooler(case, solve(case))


def test_a_transaction_pooler_s_pool_is_that_of_all_processes_together(four):
    _, found = behind(four)
    pool = found.server_settings[0]
    assert pool.setting == "default_pool_size"
    assert pool.value == dealt_to(four, 4, 1, WaitTarget())
    assert pool.changes
    _, fine = behind(four, pooler=PoolerLimits(clients=100, pool_size=pool.value + 1, source="its console"))
    assert (fine.server_settings[0].value, fine.server_settings[0].changes) == (pool.value + 1, False)
    assert fine.incomplete == ()


def test_its_limits_are_kept_to_and_said(four):
    _, found = behind(four, pooler=PoolerLimits(clients=10, clients_of_others=2, pool_size=5, database=6))
    pool = found.server_settings[0]
    assert pool.value == 6
    assert "it is 5 now" in pool.reason
    told = " ".join(found.incomplete)
    assert "only 6 can be had (max_db_connections)" in told
    assert "it admits 8: raise max_client_conn to" in told
