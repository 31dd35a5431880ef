from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbdoctor.model.finding import Severity, Skipped
from dbdoctor.model.server import Missing, Pooler
from dbdoctor.rules import clock_skew, password_expiry, pooler, recently_restarted, replica, version, view_restricted
from tests.rules.facts import NOW, facts, one, target


def on(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("number", "text", "day", "severity"),
    [
        (130023, "13.23", "2025-11-13T23:59:59", Severity.INFO),
        (130023, "13.23", "2025-11-14T00:00:00", Severity.WARNING),
        (140023, "14.23", "2026-05-12T12:00:00", None),
        (140023, "14.23", "2026-05-13T12:00:00", Severity.INFO),
        (140023, "14.23", "2026-11-12T12:00:00", Severity.INFO),
        (140023, "14.23", "2026-11-13T12:00:00", Severity.WARNING),
        (180004, "18.4", "2026-11-21T12:00:00", None),
        (90624, "9.6.24", "2026-01-01T00:00:00", Severity.WARNING),
        (80404, "8.4.4", "2026-01-01T00:00:00", Severity.WARNING),
        (190000, "19beta1", "2035-01-01T00:00:00", None),
        (0, "unknown", "2035-01-01T00:00:00", None),
    ],
)
def test_version(number, text, day, severity):
    finding = one(version, facts(version=text, version_number=number, server_time=on(day)), target())
    assert (finding.severity if finding else None) == severity


def test_version_says_the_dates():
    finding = one(version, facts(version="13.23", version_number=130023, server_time=on("2025-11-23")), target())
    assert finding.title == "PostgreSQL 13 had its final release on 2025-11-13"
    assert "10 days" in finding.why
    assert "2030-11-14" in finding.fix


def test_version_of_sql_server_says_its_year():
    old = facts(
        product="SQL Server", version="2016 SP3 (13.0.6300.2)", version_number=130000, server_time=on("2026-11-23")
    )
    finding = one(version, old, target())
    assert finding.title == "SQL Server 2016 has been without security fixes since 2026-07-14"
    assert "2025 is supported until 2036-01-06" in finding.fix
    assert (
        one(version, facts(product="SQL Server", version_number=160000, server_time=on("2026-11-23")), target()) is None
    )
    azure = facts(product="Azure SQL Database", version_number=120000)
    assert isinstance(one(version, azure, target()), Skipped)


def test_version_of_others_and_without_a_clock_is_not_judged():
    assert isinstance(one(version, facts(product="YugabyteDB", version_number=110002), target()), Skipped)
    assert isinstance(one(version, facts(server_time=None), target()), Skipped)


def test_every_final_release_is_in_the_middle_of_a_november():
    for major, final in version.FINAL_RELEASES.items():
        assert final.month == 11
        assert final.weekday() == 3
        assert final.year == major + 2012


@pytest.mark.parametrize(
    ("skew", "uncertainty", "fires"),
    [
        (0.0, 0.0, False),
        (2.0, 0.0, False),
        (2.001, 0.0, True),
        (-2.001, 0.0, True),
        (6.0, 4.0, False),
        (6.5, 4.0, True),
        (-3600.0, None, True),
    ],
)
def test_clock_skew(skew, uncertainty, fires):
    finding = one(clock_skew, facts(clock_skew=skew, clock_uncertainty=uncertainty), target())
    assert (finding is not None) == fires
    if finding:
        assert ("ahead of" if skew > 0 else "behind") in finding.title


def test_clock_skew_thresholds_and_absence():
    assert one(clock_skew, facts(clock_skew=1.0), target(thresholds={"clock_skew_warning": 0.5})) is not None
    assert isinstance(one(clock_skew, facts(clock_skew=None), target()), Skipped)


@pytest.mark.parametrize(("lag", "fires"), [(0.0, False), (30.0, False), (30.1, True), (7200.0, True)])
def test_replica_lag(lag, fires):
    behind = facts(is_standby=True, replica_lag=lag, extra={"replica": {"receiving": True, "replayed": NOW - lag}})
    finding = one(replica, behind, target())
    assert (finding is not None) == fires
    if finding:
        assert finding.code == "replica-lag"


def test_replica_that_hears_nothing():
    deaf = facts(is_standby=True, extra={"replica": {"receiving": False, "replayed": NOW - 600}})
    finding = one(replica, deaf, target())
    assert finding.code == "replica-not-streaming"
    assert "10m 00s" in finding.why
    never = facts(is_standby=True, extra={"replica": {"receiving": False, "replayed": None}})
    assert one(replica, never, target()).evidence["last_replayed_seconds_ago"] is None


def test_replica_of_aurora_and_primaries():
    aurora = facts(
        product="Amazon Aurora PostgreSQL", is_standby=True, extra={"replica": {"receiving": False, "replayed": None}}
    )
    assert isinstance(one(replica, aurora, target()), Skipped)
    assert one(replica, facts(), target()) is None


DAY = 86400.0


@pytest.mark.parametrize(("left", "fires"), [(14 * DAY, False), (14 * DAY - 1, True), (0.0, True), (-DAY, True)])
def test_password_expiry(left, fires):
    finding = one(password_expiry, facts(password_expires_at=NOW + left), target())
    assert (finding is not None) == fires
    if finding:
        assert ("expired" if left <= 0 else "expires in") in finding.title
        assert finding.severity is Severity.WARNING


def test_password_that_does_not_expire():
    assert one(password_expiry, facts(), target()) is None


@pytest.mark.parametrize(("uptime", "fires"), [(0.0, True), (599.9, True), (600.0, False), (None, False)])
def test_recently_restarted(uptime, fires):
    finding = one(recently_restarted, facts(uptime=uptime), target())
    assert (finding is not None) == fires
    if finding:
        assert finding.severity is Severity.INFO


@pytest.mark.parametrize(("mode", "fires"), [("session", False), ("transaction", True), ("statement", True)])
def test_pooler(mode, fires):
    finding = one(pooler, facts(pooler=Pooler("PgBouncer", "1.18.0", mode)), target())
    assert (finding is not None) == fires
    if finding:
        assert f"one {mode} at a time" in finding.title
        assert finding.command == "create_engine(url, poolclass=NullPool)"


def test_pooler_of_unknown_mode_is_not_passed_over():
    said = one(pooler, facts(pooler=Pooler("a connection pooler")), target())
    assert isinstance(said, Skipped)
    assert said.help
    assert "SHOW CONFIG" in said.help
    assert one(pooler, facts(), target()) is None


def test_pooler_and_the_drivers_prepared_statements():
    asyncpg = replace(target(), driver="asyncpg")
    finding = one(pooler, facts(pooler=Pooler("PgBouncer", None, "transaction")), asyncpg)
    assert "statement_cache_size" in finding.command


def test_view_restricted():
    grant = 'GRANT pg_monitor TO "app";'
    two = (Missing("what 3 sessions do", "not a member", grant), Missing("the stream", "not a member", grant))
    finding = one(view_restricted, facts(hidden_sessions=3, missing=two), target())
    assert finding.severity is Severity.INFO
    assert finding.command == grant
    assert "what 3 sessions do; the stream" in finding.title
    assert one(view_restricted, facts(missing=(Missing("slots", "no such thing here"),)), target()) is None
    assert one(view_restricted, facts(), target()) is None
