import ast
import json
from dataclasses import replace

import pytest

from dbdoctor.model.demand import Demand, Source
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.page import parse_page
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import (
    Bounds,
    Budget,
    BudgetRow,
    Prediction,
    Range,
    Recommendation,
    SizePoint,
    Surroundings,
    WaitTarget,
)
from dbdoctor.rules.sizing import Sized, judge_sizing, modules

PREDICTION = Prediction(
    SizePoint(15, 0.001, 0.0, 0.002, 0.008, 0.05, 0.1, 0.5), Range(0.006, 0.009), Range(0.05, 0.08), 0, 5, 0.05, 0.001
)
SETTINGS = {
    "pool_size": 12,
    "max_overflow": 3,
    "pool_timeout": 3,
    "pool_recycle": 280,
    "pool_pre_ping": True,
    "connect_args": {"tcp_user_timeout": 30000, "keepalives_idle": 60},
}
HEALTHY = Sized(
    Recommendation(
        settings=SETTINGS,
        connections=15,
        size_range=None,
        demand=Demand(Source.NOTHING),
        bounds=Bounds(),
        target=WaitTarget(),
        because=(),
        current=PoolSettings(12, 3, 3, 280, True, False),
        current_prediction=PREDICTION,
    ),
    Surroundings(idle_timeout=350, deadline=10, threads=40, connect_args={"keepalives_idle": 60}),
    at_rest=Budget((BudgetRow("web", 4, 15, 60, 15, "4 replicas x 15 connections = 60"),), 80, "80"),
    in_rollout=Budget((BudgetRow("web", 5, 15, 75, 15, "(4 + 1 surge) replicas x 15 connections = 75"),), 80, "80"),
)


def settings(**changed) -> Sized:
    answer = HEALTHY.answer
    assert answer.current is not None
    return replace(HEALTHY, answer=replace(answer, current=answer.current._replace(**changed)))


def around(**changed) -> Sized:
    return replace(HEALTHY, around=replace(HEALTHY.around, **changed))


def answer(**changed) -> Sized:
    return replace(HEALTHY, answer=replace(HEALTHY.answer, **changed))


def found(sized: Sized) -> list[Finding]:
    findings, skipped = judge_sizing(sized)
    assert skipped == []
    return findings


def test_what_is_fine_is_not_spoken_of():
    assert found(HEALTHY) == []


def test_nothing_known_is_no_finding():
    unknown = replace(HEALTHY, around=Surroundings(), at_rest=None, in_rollout=None)
    assert found(replace(unknown, answer=replace(HEALTHY.answer, current=None, current_prediction=None))) == []


def shrunk(usable: int) -> Sized:
    assert HEALTHY.at_rest is not None
    assert HEALTHY.in_rollout is not None
    return replace(
        HEALTHY, at_rest=replace(HEALTHY.at_rest, usable=usable), in_rollout=replace(HEALTHY.in_rollout, usable=usable)
    )


@pytest.mark.parametrize(
    ("sized", "code", "severity", "words"),
    [
        (shrunk(59), "fleet-exceeds-slots", Severity.ERROR, "can ask for 60 sessions, and 59 are usable"),
        (shrunk(74), "rollout-exceeds-slots", Severity.WARNING, "60 between rollouts and 75 sessions during one"),
        (around(threads=14), "pool-exceeds-threads", Severity.INFO, "15 connections, and its 14 threads can use 14"),
        (
            replace(
                around(per_request=2), answer=replace(HEALTHY.answer, bounds=Bounds(floor=41, floor_working="40 + 1"))
            ),
            "pool-deadlock",
            Severity.ERROR,
            "40 threads that hold 2 connections each can block each other: the pool has 15",
        ),
        (
            answer(current_prediction=replace(PREDICTION, connects_share=0.092, connects_per_second=13.8)),
            "overflow-churn",
            Severity.WARNING,
            "9.2% of the checkouts pay for a new connection, 13.8 a second",
        ),
        (settings(pool_timeout=None), "pool-timeout-above-deadline", Severity.WARNING, "30.0 s (the default)"),
        (
            settings(pool_timeout=10),
            "pool-timeout-above-deadline",
            Severity.WARNING,
            "10.0 s, and its caller up to 10.0 s",
        ),
        (around(connect_args={}), "pre-ping-without-deadline", Severity.WARNING, "hangs as long as the kernel does"),
        (settings(pool_recycle=-1), "recycle-above-idle-timeout", Severity.WARNING, "never replaces connections"),
        (
            settings(pool_recycle=None),
            "recycle-above-idle-timeout",
            Severity.WARNING,
            "never replaces connections (pool_recycle is not set)",
        ),
        (settings(pool_recycle=350), "recycle-above-idle-timeout", Severity.WARNING, "5m 50s"),
    ],
)
def test_each_rule_finds_its_own_and_nothing_else(sized, code, severity, words):
    (finding,) = found(sized)
    assert (finding.code, finding.severity) == (code, severity)
    assert words in finding.title
    json.dumps(dict(finding.evidence))
    assert finding.command is not None
    ast.parse(finding.command)


@pytest.mark.parametrize(
    "sized",
    [
        shrunk(60 + 15),
        around(threads=15),
        settings(pool_timeout=9.9),
        settings(pool_recycle=349),
        around(connect_args=None),
        around(connect_args={}, tcp=False),
        settings(pool_size=0),
        settings(max_overflow=-1),
        settings(pool_class="NullPool"),
    ],
)
def test_just_on_the_good_side_says_nothing(sized):
    assert found(sized) == []


def test_every_code_has_a_page():
    for module in modules():
        parse_page(module.__name__, module.__doc__ or "")
    assert len({code for module in modules() for code in module.CODES}) == 7


def test_a_rule_that_fails_is_told_and_hides_no_other():
    broken = replace(around(threads="many"), answer=replace(HEALTHY.answer, current=PoolSettings(12, 3, 30, 280, True)))
    findings, skipped = judge_sizing(broken)
    assert [one.rule for one in skipped] == ["pool-exceeds-threads"]
    assert [one.code for one in findings] == ["pool-timeout-above-deadline"]
