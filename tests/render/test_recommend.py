"""What `recommend` shows: nothing too wide, nothing harmful, JSON that is whole, and code that means what it says."""

from __future__ import annotations

import json
import tomllib
from array import array
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbdoctor.model.advice import Advice
from dbdoctor.model.demand import Course, Stated, Trace
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.sizing import Service, Surroundings, WaitTarget
from dbdoctor.render.recommend_json import advice_json, failure_json
from dbdoctor.render.recommend_output import lines_of
from dbdoctor.render.style import Style
from dbdoctor.sizing.case import Case, solve
from dbdoctor.sizing.sweep_table import sweep_rows
from dbdoctor.sizing.what_if import answer
from tests.render.hostile import harmful

EVIL = "x\x1b[31m\u202eevil\nline"
FACTS = ServerFacts("PostgreSQL", "18.1", 180_001, slots=Slots(100, 3, 40, (("app", "web", 20),)))
FINDING = Finding("pool-deadlock", Severity.ERROR, "a title", "a reason", "a fix", "create_engine(url)", {"x": 1.5})


def course(process: str, checkouts: int = 400, every: float = 0.05, use: float = 0.12) -> Course:
    """Regular arrivals with a burst of eight in each second."""
    arrivals = sorted([number * every for number in range(checkouts)] + [float(n // 8) for n in range(checkouts // 3)])
    length = len(arrivals)
    return Course(process, array("d", arrivals), array("d", [0.0] * length), array("d", [use] * length))


def trace() -> Trace:
    courses = (course("a"), course("b"))
    counted = sum(len(one.arrivals) for one in courses)
    return Trace(courses, counted, max(one.span for one in courses), 2)


def cases() -> dict[str, Case]:
    service = Service("shop", replicas=2, workers=2, surge=1)
    full = Case(
        trace(),
        service,
        others=(Service(EVIL, size=4), Service("jobs" * 30, replicas=3, size=2)),
        facts=FACTS,
        around=Surroundings(idle_timeout=350.0, idle_timeout_of=EVIL, deadline=10.0, threads=20, connect_args={}),
        current=PoolSettings(pool_size=2, max_overflow=1, pool_pre_ping=True),
        ours=20,
        cores=2,
    )
    tight = replace(full, facts=replace(FACTS, slots=Slots(20, 3, 0)))
    return {
        "trace": full,
        "tight": tight,
        "stated": replace(full, demand=Stated(80.0, 0.05), others=(), facts=None, current=None),
        "nothing": replace(full, demand=None, others=()),
        "pooler": replace(full, around=Surroundings(pooler="PgBouncer", pooler_mode="transaction")),
    }


def advice(case: Case) -> Advice:
    found = solve(case)
    changes = (
        {"replicas": 5},
        {"pool_size": 1, "max_overflow": 0},
        {"wait_target": WaitTarget(0.9, 1.0)},
        {"rate": 9e6},
    )
    return Advice(
        found,
        target=f"postgresql://{EVIL}@db/shop",
        server="PostgreSQL 18.1",
        what_ifs=tuple(answer(case, found, one, lambda _text: None) for one in changes[:3]),
        sweep=sweep_rows(case, found, lambda _text: None),
        findings=(FINDING, replace(FINDING, severity=Severity.WARNING, title=EVIL)),
        skipped=(Skipped("pool-deadlock", EVIL),),
        notes=(EVIL,),
        took=1.0,
    )


def texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, but those whose lines are meant."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@pytest.fixture(scope="module", params=["trace", "tight", "stated", "nothing", "pooler"])
def shown(request):
    return advice(cases()[request.param])


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_terminal_and_none_harms_it(shown, width, unicode):
    style = Style(colour=False, width=width, terminal=True, unicode=unicode)
    lines = "\n".join(lines_of(shown, style, "text", sweep=True, numbers=True)).split("\n")
    assert not any(map(harmful, lines))
    wide = [line for line in lines if len(line) > width and " " in line.strip()]
    assert not wide
    if not unicode:
        assert not any("█" in line for line in lines)


def test_the_json_is_whole_and_finite(shown):
    found = json.loads(advice_json(shown), parse_constant=pytest.fail)
    assert found["schema"] == "dbdoctor.recommend/1"
    assert {"settings", "current", "because", "prediction", "verified", "findings", "budget", "demand", "notes"} <= set(
        found
    )
    assert [one["setting"] for one in found["because"]] == list(found["settings"])
    assert set(found) == set(json.loads(failure_json("postgresql://db/x", [FINDING])))
    assert not any(map(harmful, texts(found)))


def test_colour_never_changes_the_words(shown):
    plain, coloured = (Style(colour=colour, width=80, terminal=True) for colour in (False, True))
    import re

    text = "\n".join(lines_of(shown, coloured, "text", sweep=True, numbers=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == "\n".join(lines_of(shown, plain, "text", sweep=True, numbers=True))


def test_toml_for_a_profile_is_in_the_words_of_the_config(shown):
    lines = lines_of(replace(shown, profile="shop.eu"), Style(False, 80, False), "toml", sweep=False, numbers=False)
    table = tomllib.loads("\n".join(lines))["targets"]["shop.eu"]
    for name, value in table.items():
        if name != "parameters":
            assert shown.recommendation.settings[name] == value


def test_what_cannot_fit_is_said_with_what_to_give_up():
    shown = advice(cases()["tight"])
    text = "\n".join(lines_of(shown, Style(False, 80, False), "text", sweep=False, numbers=False))
    budget = shown.recommendation.budget
    assert budget is not None
    assert f"of {budget.usable} usable" in text
    if not budget.feasible:
        assert "to give up:" in text
    assert "not met:" in text


def test_the_budgets_sum_is_that_of_its_rows():
    for name in ("trace", "tight", "nothing"):
        budget = solve(cases()[name]).budget
        assert budget is not None
        assert budget.total == sum(row.pools * row.each for row in budget.rows)
        for row in budget.rows:
            assert row.working.endswith(f"= {row.total}")
