from dataclasses import replace

import pytest

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ConnectionLimit, Missing, Pooler, Slots
from dbdoctor.rules import connection_limits, pool_exceeds_slots, slots
from tests.rules.facts import HEALTHY, facts, one, target


# 100 sessions, 3 reserved: 97 are for ordinary users; 80 % is 77.6, 90 % is 87.3.
@pytest.mark.parametrize(
    ("used", "severity"),
    [
        (0, None),
        (77, None),
        (78, Severity.WARNING),
        (87, Severity.WARNING),
        (88, Severity.ERROR),
        (97, Severity.ERROR),
        (100, Severity.ERROR),
    ],
)
def test_slots_thresholds(used, severity):
    finding = one(slots, facts(used=used), target())
    assert (finding.severity if finding else None) == severity
    if finding:
        assert f"{used} of the 97 sessions" in finding.title
        assert finding.evidence["free"] == max(0, 97 - used)


def test_slots_exactly_at_the_threshold_count():
    tens = replace(HEALTHY, slots=Slots(10, 0, 8))
    assert one(slots, tens, target()).severity is Severity.WARNING
    assert one(slots, replace(HEALTHY, slots=Slots(10, 0, 9)), target()).severity is Severity.ERROR


def test_slots_thresholds_are_the_targets():
    assert one(slots, facts(used=50), target(thresholds={"slots_warning": 0.5})).severity is Severity.WARNING
    assert one(slots, facts(used=50), target(thresholds={"slots_error": 0.5})).severity is Severity.ERROR
    assert one(slots, facts(used=95), target(thresholds={"slots_warning": 0.99, "slots_error": 0.99})) is None


def test_slots_say_who_and_what_they_do():
    states = {"active": 5, "idle": 60, "idle_in_transaction": 20, "hidden": 0}
    finding = one(slots, facts(used=90, extra={"states": states}), target())
    assert finding.rows == (
        "app shop: 15 sessions",
        "app (no application name): 5 sessions",
        "of all: 5 active, 60 idle, 20 idle in transaction",
    )
    assert "pg_stat_activity" in finding.command


def test_slots_say_how_much_the_next_deploy_can_have():
    finding = one(slots, facts(used=84), target(pool=PoolSettings(3, 2)))
    assert "13 more logins" in finding.why
    assert "2 more processes with a pool of 5" in finding.why
    assert "refused" in one(slots, facts(used=97), target()).why


def test_slots_never_claim_a_guess():
    finding = one(slots, facts(used=90, extra={"slots_overcounted_at_most": 8}), target())
    assert finding.title.startswith("at most 90")
    assert not one(slots, facts(used=90), target()).title.startswith("at most")


def test_slots_that_no_ordinary_user_can_have():
    finding = one(slots, replace(HEALTHY, slots=Slots(3, 3, 0)), target())
    assert finding.severity is Severity.ERROR


def test_slots_unknown_is_skipped_with_the_remedy():
    missing = (Missing("slots", "not allowed", "GRANT x TO y;"),)
    said = one(slots, facts(slots=None, missing=missing), target())
    assert isinstance(said, Skipped)
    assert said.help == "GRANT x TO y;"
    assert "not allowed" in said.reason


# Used by others: 20 sessions less our role's own 20.
@pytest.mark.parametrize(
    ("pool", "severity"),
    [
        (None, None),
        (PoolSettings(), None),
        (PoolSettings(0, 5), None),
        (PoolSettings(5, -1), None),
        (PoolSettings(97, 0), None),
        (PoolSettings(97, 1), Severity.ERROR),
        (PoolSettings(5, 10, processes=4, replicas=2), Severity.ERROR),
        (PoolSettings(5, 5, processes=3, replicas=3), None),
    ],
)
def test_pool_against_the_server(pool, severity):
    finding = one(pool_exceeds_slots, facts(), target(pool=pool))
    assert (finding.severity if finding else None) == severity


def test_pool_beside_what_others_hold():
    busy = facts(used=60, extra={"role_sessions": 10})
    assert one(pool_exceeds_slots, busy, target(pool=PoolSettings(47, 0))) is None
    finding = one(pool_exceeds_slots, busy, target(pool=PoolSettings(48, 0)))
    assert finding.severity is Severity.WARNING
    assert "48 sessions" in finding.title
    assert "room for 47" in finding.title
    assert "50 sessions that other roles hold" in finding.why


def test_pool_against_the_narrowest_limit():
    limited = facts(limits=(ConnectionLimit("role", "app", 10, 1), ConnectionLimit("database", "shop", 50, 1)))
    finding = one(pool_exceeds_slots, limited, target(pool=PoolSettings(5, 10)))
    assert finding.severity is Severity.ERROR
    assert "the role app admits 10" in finding.title


def test_pool_settings_to_paste_fit():
    finding = one(pool_exceeds_slots, facts(), target(pool=PoolSettings(5, 10, processes=8)))
    assert finding.command == "create_engine(url, pool_size=5, max_overflow=4)"
    assert (5 + 4) * 8 <= 97
    assert one(pool_exceeds_slots, facts(), target(pool=PoolSettings(1, 0, processes=500))).command is None


def test_pool_behind_a_pooler_is_the_poolers_business():
    assert one(pool_exceeds_slots, facts(pooler=Pooler("PgBouncer")), target(pool=PoolSettings(500, 0))) is None


@pytest.mark.parametrize(
    ("used", "severity"), [(0, None), (79, None), (80, Severity.WARNING), (89, Severity.WARNING), (90, Severity.ERROR)]
)
@pytest.mark.parametrize("of", ["role", "database"])
def test_limits_of_role_and_database(of, used, severity):
    finding = one(connection_limits, facts(limits=(ConnectionLimit(of, "sh'op", 100, used),)), target())
    assert (finding.severity if finding else None) == severity
    if finding:
        assert finding.code == f"{of}-connection-limit-near"
        assert finding.command == f'ALTER {of.upper()} "sh\'op" CONNECTION LIMIT 200;'


def test_a_limit_of_nothing_and_one_that_cannot_be_counted():
    assert one(connection_limits, facts(limits=(ConnectionLimit("role", "app", 0, 0),)), target()).severity == "error"
    said = one(connection_limits, facts(limits=(ConnectionLimit("role", "app", 5, None),)), target())
    assert isinstance(said, Skipped)


def test_both_limits_at_once():
    both = facts(limits=(ConnectionLimit("role", "app", 10, 9), ConnectionLimit("database", "shop", 10, 8)))
    said = [one for one in connection_limits.judge(both, target()) if isinstance(one, Finding)]
    assert [finding.severity for finding in said] == [Severity.ERROR, Severity.WARNING]
