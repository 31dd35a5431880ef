"""Each finding from a simulation, and that healthy pools give none; the first test's trials are real."""

from __future__ import annotations

import json
import types
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import Bound, Case, ErrorSeen, Outcome, PoolPlan, Scale
from dbdoctor.rules import trials as rules
from dbdoctor.rules.trials import judge_trials
from dbdoctor.trials.cheapest import cheapest
from dbdoctor.trials.host import read_host
from dbdoctor.trials.judge import judge
from dbdoctor.trials.orders import TrialOrder
from dbdoctor.trials.planning import facts_of
from dbdoctor.trials.pools import pools
from tests.rules.trials.reports import FAULTS, MSSQL, SCALE, TARGET, report
from tests.servers.postgresql import PostgresServer
from tests.trials.records import case, ghost, plan
from tests.trials.simulating import simulate

OK, ONE, MANY, HANG = Outcome.SURVIVES, Outcome.ONE_ERROR, Outcome.ERRORS, Outcome.HANGS
RETRIES = Bound(924.6, 1044.6, "net.ipv4.tcp_retries2 = 15 on this host")
HOURS = Bound(7875.0, 7875.0, "keepalive after 2h 00m")
TABLE = pools(Product.POSTGRESQL, SCALE)
ODBC = pools(Product.SQLSERVER, SCALE)
CLOSED_ERROR = ErrorSeen("OperationalError", "psycopg2.OperationalError", None, "server closed", "execute", True)
HYT00 = ErrorSeen(
    "OperationalError", "pyodbc.OperationalError", "HYT00", "[HYT00] Query timeout expired", "execute", True
)
UNKNOWN = ErrorSeen("DBAPIError", "pyodbc.Error", "HY000", '[HY000] "Unknown error"', "checkout", False)


def hang(fault: str, pool: str, **fields: Any) -> Case:
    return case(fault, pool, HANG, hang=30.0, would_hang=RETRIES, **fields)


def judged(
    plans: Sequence[PoolPlan], cases: Sequence[Case], target: Target = TARGET, **fields: Any
) -> dict[str, Finding]:
    found = judge_trials(report(plans, cases, **fields), target)
    for finding in found:
        json.dumps(finding.evidence, allow_nan=False)
        assert not finding.title.endswith(".")
        assert all(finding.rows)
    assert [one.severity.rank for one in found] == sorted(one.severity.rank for one in found)
    assert len({finding.code for finding in found}) == len(found)
    return {finding.code: finding for finding in found}


def current(of: PoolPlan, **fields: Any) -> PoolPlan:
    return replace(of, name="current", **fields)


def test_what_survives_gives_no_finding() -> None:
    table = list(TABLE.values())
    assert not judged(table, [case(fault.code, pool.name, OK) for fault in FAULTS for pool in table])


def test_what_was_not_tried_gives_no_finding() -> None:
    assert not judged([TABLE["pre-ping"]], [case("silent-drop", "pre-ping", None)])


def test_the_tables_pools_are_information_only() -> None:
    cases = [
        hang(fault.code, pool.name, ghosts=(ghost(),), ghost_bound=HOURS) for fault in FAULTS for pool in TABLE.values()
    ]
    found = judge_trials(report(list(TABLE.values()), cases), TARGET)
    assert found
    assert {finding.severity for finding in found} == {Severity.INFO}
    assert "current-pool-fails" not in {finding.code for finding in found}


def test_beside_the_users_own_pool_the_tables_are_not_judged() -> None:
    plans = [current(TABLE["recycle-below"]), TABLE["pre-ping"]]
    assert not judged(plans, [case("silent-drop", "current", OK), hang("silent-drop", "pre-ping")])


def test_pre_ping_hangs() -> None:
    found = judged([current(TABLE["pre-ping"])], [hang("silent-drop", "current"), case("closed", "current", OK)])
    finding = found["pre-ping-hangs"]
    assert finding.severity is Severity.ERROR
    assert "15m 25s to 17m 25s" in finding.title
    assert finding.evidence["faults"] == ["silent-drop"]
    assert finding.evidence["would_hang_at_most_seconds"] == 1044.6
    assert "pool_recycle=280" in (finding.command or "")
    assert "hangs-until-kernel-gives-up" not in found, "one hang is told once"


def test_a_pre_ping_that_never_ends_is_for_ever() -> None:
    never = case("silent-drop", "current", HANG, hang=30.0, would_hang=Bound(30.0, None, "a proxy acknowledges"))
    found = judged([current(TABLE["pre-ping"])], [never, hang("closed", "current")])
    assert "hangs for ever" in found["pre-ping-hangs"].title
    assert found["pre-ping-hangs"].evidence["would_hang_at_most_seconds"] is None


def test_a_hang_without_pre_ping() -> None:
    found = judged([current(TABLE["default"])], [hang("silent-drop", "current")])
    assert found["hangs-until-kernel-gives-up"].severity is Severity.ERROR
    assert "tcp_retries2 = 15" in found["hangs-until-kernel-gives-up"].why
    assert "pre-ping-hangs" not in found


def test_a_hang_while_the_old_connection_is_closed() -> None:
    """FreeTDS rolls back before it closes, and waits."""
    seen = hang("silent-drop", "current")
    finding = judged([current(ODBC["recycle-below"])], [seen], MSSQL)["hangs-until-kernel-gives-up"]
    assert "rollback" in finding.why
    assert "Microsoft's ODBC driver 18" in finding.fix
    assert finding.command is None


def test_waiting_for_a_lost_answer_is_helped_by_keepalives() -> None:
    lost = case("lost-reply", "current", HANG, hang=30.0, would_hang=HOURS)
    found = judged([current(TABLE["pre-ping"])], [lost])
    finding = found["hangs-until-kernel-gives-up"]
    assert "2h 11m" in finding.title
    assert '"keepalives_idle": 87' in (finding.command or "")
    assert "recycle-above-idle-timeout" not in found, "no recycling helps a connection that is in use"


@pytest.mark.parametrize(
    ("recycle", "expected"), [(16.0, "replaces connections after 23m 20s"), (-1.0, "never replaces")]
)
def test_recycle_above(recycle: float, expected: str) -> None:
    own = current(TABLE["default"], pool_recycle=recycle)
    finding = judged([own], [hang("silent-drop", "current")])["recycle-above-idle-timeout"]
    assert expected in finding.title
    assert "5m 50s" in finding.title
    assert finding.severity is Severity.ERROR
    softer = judged([own], [case("closed", "current", ONE, error=CLOSED_ERROR)])["recycle-above-idle-timeout"]
    assert softer.severity is Severity.WARNING


def test_recycle_is_not_blamed_for_what_it_cannot_help() -> None:
    below = current(TABLE["recycle-below"])
    assert "recycle-above-idle-timeout" not in judged([below], [case("closed", "current", ONE)])
    restart = judged([current(TABLE["default"])], [case("server-restart", "current", MANY)])
    assert "recycle-above-idle-timeout" not in restart
    table = judged([TABLE["default"]], [hang("silent-drop", "default")])
    assert "recycle-above-idle-timeout" not in table, "that the defaults never recycle is no mistake of the table's"


def test_keepalive_above() -> None:
    own = current(TABLE["keepalive-late"])
    found = judged([own], [hang("silent-drop", "current"), hang("silent-drop-ignores-keepalive", "current")])
    finding = found["keepalive-above-idle-timeout"]
    assert finding.evidence["faults"] == ["silent-drop"], "where probes do not count, sooner ones would not help"
    assert finding.evidence["keepalive_idle_seconds"] == 700
    stated = replace(TARGET, parameters={"keepalives_idle": "600"})
    told = judged([own], [hang("silent-drop", "current")], stated)["keepalive-above-idle-timeout"]
    assert "after 10m 00s" in told.title, "as it is stated, and not as whole seconds of the trial have it"
    below = judged([current(TABLE["keepalive-below"])], [hang("silent-drop-ignores-keepalive", "current")])
    assert "keepalive-above-idle-timeout" not in below
    odbc = judged([current(ODBC["keepalive-late"])], [hang("silent-drop", "current")], MSSQL)
    assert '"KeepAlive": "30"' in (odbc["keepalive-above-idle-timeout"].command or "")


def test_a_query_timeout_discards_the_pool() -> None:
    seen = case("silent-drop", "current", ONE, error=HYT00, slowest=6.0, reconnects=3)
    finding = judged([current(ODBC["query-timeout"])], [seen], MSSQL)["query-timeout-discards-pool"]
    assert "2.0 s came after 6.0 s" in finding.title
    assert "invalidate_pool_on_disconnect = False" in (finding.command or "")
    kept = case("silent-drop", "current", ONE, error=HYT00._replace(invalidated=False), slowest=6.0)
    assert "query-timeout-discards-pool" not in judged([current(ODBC["query-timeout"])], [kept], MSSQL)


def test_ghosts() -> None:
    held = case("silent-drop", "current", OK, ghosts=(ghost(6), ghost(7, locks=3)), ghost_bound=HOURS)
    finding = judged([current(TABLE["recycle-below"])], [held, case("closed", "current", OK, ghosts=())])[
        "ghost-sessions"
    ]
    assert finding.title == "a drop leaves 2 sessions on the server, with 3 locks, for 2h 11m"
    assert (finding.evidence["ghosts"], finding.evidence["locks"], finding.evidence["in_transaction"]) == (2, 3, 1)
    assert 'ALTER ROLE "app" SET tcp_keepalives_idle = 60;' in (finding.command or "")
    assert finding.rows == ("current, silent-drop: 2 sessions stayed, idle, idle in transaction, 3 locks",)
    assert not judged([TABLE["default"]], [case("silent-drop", "default", OK, ghosts=None)]), "not looked is not found"


def test_a_reconnect_storm() -> None:
    many = current(TABLE["default"], threads=3)
    found = judged([many], [case("closed", "current", MANY, failed=3, reconnects=3, recovered=0.1)])
    assert found["reconnect-storm"].severity is Severity.INFO
    assert "3 logins at once for 3 connections" in found["reconnect-storm"].title
    assert "4 processes make that 12" in found["reconnect-storm"].title
    vain = judged([many], [case("closed", "current", MANY, failed=3, reconnects=5)])["reconnect-storm"]
    assert vain.severity is Severity.WARNING
    assert "2 logins were made in vain" in vain.why
    one = judged([current(TABLE["default"])], [case("closed", "current", ONE, reconnects=1)])
    assert "reconnect-storm" not in one
    none = judged([current(TABLE["null-pool"], threads=3)], [case("closed", "current", OK, reconnects=3)])
    assert "reconnect-storm" not in none, "a login for each is what NullPool is"


def test_a_disconnect_that_is_not_recognised() -> None:
    seen = case("closed", "current", MANY, error=UNKNOWN)
    finding = judged([current(ODBC["pre-ping"])], [seen], MSSQL)["disconnect-not-recognised"]
    assert finding.severity is Severity.ERROR
    compile(finding.command or "", "command", "exec")
    assert "is_disconnect = True" in (finding.command or "")
    assert "FreeTDS]" not in (finding.command or ""), "every error of that driver begins so"
    said = "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Not available. (40613) (SQLExecDirectW)"
    numbered = [case("closed", "current", MANY, error=UNKNOWN._replace(sqlstate="42000", message=said))]
    finding = judged([current(ODBC["pre-ping"])], numbered, MSSQL)["disconnect-not-recognised"]
    assert 'if "(40613)" in str(' in (finding.command or "")
    for fine in (CLOSED_ERROR, UNKNOWN._replace(sqlstate="25006"), UNKNOWN._replace(driver_type=None)):
        assert "disconnect-not-recognised" not in judged(
            [current(TABLE["default"])], [case("closed", "current", MANY, error=fine)]
        )
    refused = judged([current(TABLE["default"])], [case("server-restart", "current", MANY, error=UNKNOWN)])
    assert "disconnect-not-recognised" not in refused, "a refused login is no lost connection"
    for words in (
        'connection to server at "db", port 5432 failed',
        "FATAL:  sorry",
        "[08001] refused (SQLDriverConnect)",
    ):
        login = UNKNOWN._replace(message=words)
        assert "disconnect-not-recognised" not in judged(
            [current(TABLE["default"])], [case("closed", "current", MANY, error=login)]
        )


def test_the_keep_alive_thread() -> None:
    pool = TABLE["keep-alive-thread"]
    finding = judged([pool], [hang("silent-drop", pool.name, requests=2)])["keep-alive-thread-keeps-one-connection"]
    assert "4m 58s" in finding.title
    assert "2 connections" in finding.title
    assert "9m 55s" in finding.why


def test_the_driver_managers_pool() -> None:
    pool = ODBC["driver-manager-pooling"]
    finding = judged([pool], [hang("silent-drop", pool.name)], MSSQL)["driver-manager-pooling-defeats-recycle"]
    assert "4m 40s" in finding.title
    assert finding.command == "[ODBC]\nPooling=No"
    alone = [hang("silent-drop", "recycle-below"), hang("silent-drop", pool.name)]
    both = judge_trials(report([pool, ODBC["recycle-below"]], alone), MSSQL)
    assert finding.code not in {one.code for one in both}, "it hangs without that pool, too"
    assert "driver-manager-pooling-defeats-recycle" not in judged(
        [pool], [case("server-restart", pool.name, MANY)], MSSQL
    )


def test_the_users_own_pool_fails() -> None:
    plans = [current(TABLE["default"]), TABLE["recycle-below"]]
    cases = [
        case("closed", "current", ONE, error=CLOSED_ERROR, recovered=0.1),
        hang("silent-drop", "current"),
        case("lost-reply", "current", OK),
    ]
    finding = judged(plans, cases, cheapest="recycle-below")["current-pool-fails"]
    assert finding.severity is Severity.ERROR
    assert finding.title == "your pool fails in 2 of 3 faults, and hangs in 1"
    assert finding.command == "engine = create_engine(url, pool_recycle=280)"
    assert finding.rows[0].startswith("current, silent-drop: hung")
    without = judged(plans, cases)["current-pool-fails"]
    assert without.command is None


def test_a_rule_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tried: object) -> list[Finding]:
        raise RuntimeError("x")

    real = list(rules.modules())
    monkeypatch.setattr(rules, "modules", lambda: [types.SimpleNamespace(__name__="a.some_rule", judge=broken), *real])
    found = judge_trials(report([TABLE["pre-ping"]], [hang("silent-drop", "pre-ping")]), TARGET)
    assert {"some-rule", "pre-ping-hangs"} <= {finding.code for finding in found}


outcomes = st.sampled_from([OK, ONE, MANY, HANG, None])
errors = st.sampled_from([None, CLOSED_ERROR, HYT00, UNKNOWN])


@given(st.data(), st.booleans())
def test_every_matrix_can_be_judged(data: st.DataObject, own: bool) -> None:
    table = list({**TABLE, **ODBC}.values())
    plans = data.draw(st.lists(st.sampled_from(table), min_size=1, max_size=4, unique_by=lambda one: one.name))
    if own:
        plans[0] = current(plans[0])
    cases = []
    for fault in FAULTS:
        for pool in plans:
            outcome = data.draw(outcomes)
            more: dict[str, Any] = {"hang": 30.0, "would_hang": RETRIES} if outcome is HANG else {}
            ghosts = data.draw(st.sampled_from([None, (), (ghost(),)]))
            if outcome in (ONE, MANY):
                more["error"] = data.draw(errors)
            bound = HOURS if ghosts else None
            reconnects = data.draw(st.integers(0, 6))
            cases.append(
                case(fault.code, pool.name, outcome, ghosts=ghosts, ghost_bound=bound, reconnects=reconnects, **more)
            )
    found = judge_trials(report(plans, cases), data.draw(st.sampled_from([TARGET, MSSQL])))
    pages = {code for module in rules.modules() for code in module.CODES} | {"recycle-above-idle-timeout"}
    assert {finding.code for finding in found} <= pages, "a rule failed"
    if not own:
        assert all(finding.severity is Severity.INFO for finding in found)
    failing = any(one.outcome in (ONE, MANY, HANG) for one in cases if one.pool == "current")
    assert any(finding.code == "current-pool-fails" for finding in found) == failing


@pytest.fixture(scope="module")
def tried(postgres: PostgresServer) -> tuple[tuple[PoolPlan, ...], tuple[Case, ...]]:
    """A pool of three without any care, and one that recycles, through a silent drop and an orderly close; for real."""
    scale = Scale(2.0, 350.0)
    plans = (plan("current", threads=3), pools(Product.POSTGRESQL, scale)["recycle-below"])
    faults = ("silent-drop", "closed")
    cells = [(fault, pool) for fault in faults for pool in plans]
    orders = [TrialOrder(number, fault, 2.0, pool, 3.0) for number, (fault, pool) in enumerate(cells)]
    records = simulate(postgres.dsn(), orders).records
    host = read_host(Product.POSTGRESQL, (7200, 75, 9))
    kinds = all_faults()
    return plans, tuple(judge(records[fault, pool.name], pool, facts_of(kinds[fault]), host) for fault, pool in cells)


def test_real_trials_of_a_careless_pool(tried: tuple[tuple[PoolPlan, ...], tuple[Case, ...]]) -> None:
    plans, cases = tried
    best = cheapest(plans, cases)
    assert best is not None
    assert (best.pool.name, best.survives) == ("recycle-below", True)
    found = judged(plans, cases, cheapest=best.pool.name)
    assert set(found) >= {
        "current-pool-fails",
        "ghost-sessions",
        "hangs-until-kernel-gives-up",
        "reconnect-storm",
        "recycle-above-idle-timeout",
    }
    assert found["ghost-sessions"].evidence["ghosts"] == 3
    assert found["current-pool-fails"].evidence == {
        "pools": ["current"], "faults": ["silent-drop", "closed"], "failing": 2, "hanging": 1, "tried": 2,
    }  # fmt: skip
