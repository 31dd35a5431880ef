"""`simulate-timeout` for people: what is told once, what is told for each, and how wide it gets."""

from __future__ import annotations

from dataclasses import replace

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Bound, Case, ErrorSeen, Host, Outcome, Scale, SimulationReport
from dbdoctor.render.simulate_text import simulation_lines
from dbdoctor.render.style import Style
from dbdoctor.trials.planning import facts_of
from dbdoctor.trials.pools import pools

SCALE = Scale(4.0, 350.0)
POOLS = tuple(pools(Product.POSTGRESQL, SCALE).values())
FAULTS = tuple(facts_of(fault) for fault in all_faults().values() if Product.POSTGRESQL in fault.products)
FOR_EVER = "what is in between acknowledges everything: no setting of TCP ends it"


def hung(fault: str, pool: str, seconds: float) -> Case:
    return Case(
        fault, pool, testable=True, outcome=Outcome.HANGS, requests=1, failed=1,
        hang=seconds, would_hang=Bound(seconds, None, FOR_EVER), ghosts=(),
    )  # fmt: skip


def report(*cases: Case, faults: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> SimulationReport:
    return SimulationReport(
        target="postgresql://app@db/shop",
        product="postgresql",
        scale=SCALE,
        faults=tuple(fault for fault in FAULTS if not faults or fault.code in faults),
        pools=tuple(pool for pool in POOLS if not names or pool.name in names),
        cases=cases,
        host=Host(15, (7200, 75, 9)),
        server="PostgreSQL 18.6",
        took=30.0,
    )


def text(told: SimulationReport, width: int = 80) -> str:
    return "\n".join(simulation_lines(told, Style(colour=False, width=width, terminal=False)))


def test_hangs_of_nearly_the_same_length_are_told_once():
    names = ("default", "pre-ping", "lifo")
    cases = [hung("black-hole-proxy", name, 8.0 + n / 10) for n, name in enumerate(names)]
    told = text(report(*cases, faults=("black-hole-proxy",), names=names))
    assert told.count("hangs, ended after") == 1
    assert "it would last for ever" in told
    assert "every pool" in told


def test_what_scaled_values_stand_for_is_told():
    told = text(
        report(hung("silent-drop", "default", 8.0), names=("default", "recycle-below", "pre-ping", "null-pool"))
    )
    assert "pool_recycle 3.2 s stands for 4m 40s: recycle-below" in told
    assert "a round trip more for each checkout: pre-ping" in told
    assert "a login for each checkout: null-pool" in told


def test_what_it_cost_is_told():
    error = ErrorSeen("OperationalError", "psycopg2.OperationalError", None, "gone \x1b[31m away", "execute", True)
    case = Case(
        "closed", "default", testable=True, outcome=Outcome.ONE_ERROR, requests=2, failed=1,
        recovered=1.2, error=error, reconnects=1, ghosts=None,
    )  # fmt: skip
    told = text(report(case, faults=("closed",), names=("default",)))
    assert "served again within 2 s: default" in told
    assert "1 login after it: default" in told
    assert "what is left on the server is not known" in told
    assert "1 trial in" in told
    assert "\x1b" not in told
    never = text(report(replace(case, recovered=None, ghosts=()), faults=("closed",), names=("default",)))
    assert "not served again in the trial: default" in never
    assert "not known" not in never


def test_a_pool_that_could_not_be_tried_is_not_said_to_fail():
    broken = Case("closed", "pre-ping", testable=False, note="the application's pool could not be filled")
    failed = Case("closed", "default", testable=True, outcome=Outcome.ONE_ERROR, requests=2, failed=1, ghosts=())
    names = ("default", "pre-ping")
    assert "no pool is known to survive" in text(report(failed, broken, faults=("closed",), names=names))
    both = (failed, replace(failed, pool="pre-ping"))
    assert "no pool that was tried survives" in text(report(*both, faults=("closed",), names=names))


def test_every_fault_with_every_pool_fits_the_width():
    cases = [hung(fault.code, pool.name, 30.0) for fault in FAULTS for pool in POOLS]
    for width in (80, 140):
        told = text(report(*cases), width).splitlines()
        assert max(map(len, told)) <= width
        assert sum(line.startswith("  belt-and-braces  ") for line in told) > 1  # in blocks
