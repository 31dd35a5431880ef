"""The report for people: what it says first, what it cuts, what it never calls healthy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dbdoctor.model.leaks import Forecast, LeaksReport, Observed, Trend, Verdict
from dbdoctor.model.server import Slots
from dbdoctor.model.session import ClientProcess, Detail, PooledClient
from dbdoctor.model.snapshot import Gap
from dbdoctor.render.cells import width
from dbdoctor.render.leaks_text import report_lines
from dbdoctor.render.style import Style
from tests.render.reports import (
    FACTS,
    GROUPS,
    IDLE_FINDING,
    LEAK,
    NOW,
    SKIPPED,
    SLOTS_FINDING,
    UNKNOWN,
    group,
    healthy,
    many,
    report,
    session,
)
from tests.replacing import replace

PLAIN = Style(colour=False, width=80, terminal=True)
PIPE = PLAIN._replace(terminal=False)
EXPECTED = Path(__file__).parent / "expected"


def text(made: LeaksReport, style: Style = PLAIN, *, limit: int = 50, queries: bool = False) -> str:
    return "\n".join(report_lines(made, style, limit=limit, queries=queries))


def last(made: LeaksReport) -> str:
    return text(made, PIPE).splitlines()[-1]


def test_a_bad_night_at_80_columns() -> None:
    assert text(report(skipped=(SKIPPED,))) + "\n" == (EXPECTED / "leaks_80.txt").read_text()


def test_a_bad_night_at_120_columns_in_ascii() -> None:
    style = PLAIN._replace(width=120, unicode=False)
    assert text(report(skipped=(SKIPPED,)), style) + "\n" == (EXPECTED / "leaks_120_ascii.txt").read_text()
    assert text(report(), style).isascii()


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    made = report(skipped=(SKIPPED,), findings=(SLOTS_FINDING,), sessions=(session(), session(7, Verdict.OK)))
    for line in text(made, PLAIN._replace(width=columns), queries=True).split("\n"):
        assert width(line) <= columns or "://" in line  # what is to be copied is left whole


def test_colour_adds_nothing_but_colour() -> None:
    import re

    coloured = text(report(sessions=(session(),)), PLAIN._replace(colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(report(sessions=(session(),)))


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        ((2820.0, 2280.0, 3660.0), "at +0.7 sessions a minute the slots run out in 47 min (38 min to 61 min)"),
        ((40.0, 31.2, None), "at +52.5 sessions a minute the slots run out in 40 s (31 s at the earliest)"),
        ((84.0, 84.1, 83.9), "the slots run out in 84 s"),
        ((98.0, 92.0, 108.0), "the slots run out in 98 s (92 s to 108 s)"),
        ((200000.0, 30000.0, None), "the slots run out in 2.3 days (8.3 h at the earliest)"),
    ],
)
def test_the_forecast(forecast: tuple[float, float, float | None], words: str) -> None:
    made = report(forecast=Forecast(*forecast, ("checkout-api", "b", "c", "d", "e")))
    assert f"{words}, by checkout-api, b, c and 2 more" in " ".join(text(made).split())


def test_the_uptime_goes_on_while_we_watch() -> None:
    facts = replace(FACTS, uptime=30.0, server_time=NOW - 60)
    assert "PostgreSQL 18.4, primary, up 1m 30s" in text(report(facts=facts))


def test_when_no_slot_is_left() -> None:
    made = report(slots=Slots(100, 3, 97), forecast=Forecast(0.0, 0.0, 0.0, ("reports",)))
    assert "no slot is left, by reports" in text(made)


def test_a_single_look_says_what_it_cannot_tell() -> None:
    lines = text(healthy(observed=Observed(NOW, NOW, 1, 0.0)), PIPE).splitlines()
    said = [line for line in lines if "one look   " in line]
    assert said == ["  one look   tells no growth, nor whether a session comes back; `--for 10s` does"]
    assert lines[-1].startswith("no leak seen in one look: 2 groups ok, 6 sessions on ")
    assert not any("one look " in line for line in text(healthy()).splitlines())


def test_gaps_are_named() -> None:
    gaps = (Gap(NOW - 20, NOW - 8, "the connection was lost"),)
    made = report(observed=Observed(NOW - 60, NOW, 25, 2.0, gaps))
    assert "  not seen   14:03:02Z to 14:03:14Z (12 s): the connection was lost" in text(made).splitlines()
    many_gaps = tuple(Gap(NOW - 60 + i, NOW - 59 + i, "late") for i in range(9))
    shown = text(report(observed=Observed(NOW - 60, NOW, 25, 2.0, many_gaps)))
    assert shown.count("): late") == 5
    assert "and 4 times before" in shown


def test_no_other_sessions() -> None:
    made = healthy(groups=())
    assert "There are no other sessions on this server." in text(made).splitlines()
    assert last(made) == "healthy: no other sessions on postgresql://app@db1:5432/shop in 24 s"


def test_the_last_line_stands_alone() -> None:
    assert last(report()) == (
        "2 leaks, 1 suspect, 1 unknown, 3 groups ok (1 error, 1 warning), 43 sessions "
        "on postgresql://app@db1:5432/shop in 24 s"
    )
    assert last(healthy()) == "healthy: 2 groups ok, 6 sessions on postgresql://app@db1:5432/shop in 24 s"
    one = report(groups=(LEAK,), findings=(IDLE_FINDING,))
    assert last(one).startswith("1 leak (1 error), 12 sessions on ")
    assert last(healthy(findings=(SLOTS_FINDING,))).startswith("1 warning, 2 groups ok, 6 sessions on ")


@pytest.mark.parametrize(
    "made",
    [
        healthy(groups=(UNKNOWN, group())),
        healthy(groups=(group(hidden=2),)),
        healthy(skipped=(SKIPPED,)),
        healthy(findings=(IDLE_FINDING,)),
        healthy(groups=(), observed=Observed(NOW, NOW, 0, 2.0)),
        healthy(observed=Observed(NOW, NOW, 1, 2.0)),
        report(findings=()),
    ],
)
def test_what_could_not_be_seen_is_never_healthy(made: LeaksReport) -> None:
    assert "healthy" not in text(made)


def test_the_head_of_a_hidden_group_claims_no_counts() -> None:
    row = next(line for line in text(report()).splitlines() if line.startswith("unknown"))
    assert row.split() == ["unknown", "(no", "name)", "other", "-", "4", "?", "?"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (50, None),
        (7, None),
        (4, "3 more groups, all ok (--limit 7 shows all)"),
        (6, "1 more group, all ok (--limit 7 shows all)"),
        (2, "5 more groups: 1 suspect, 1 unknown, 3 ok (--limit 7 shows all)"),
        (0, "7 more groups: 2 leaks, 1 suspect, 1 unknown, 3 ok (--limit 7 shows all)"),
    ],
)
def test_what_is_cut_is_counted(limit: int, words: str | None) -> None:
    said = [line for line in text(report(), limit=limit).splitlines() if "more group" in line]
    assert said == ([words] if words else [])


def test_what_all_groups_share_is_said_once() -> None:
    groups = (group("a", client="local"), group("b", client="local"))
    lines = text(healthy(groups=groups)).splitlines()
    assert "all sessions as app@shop, from local" in lines
    assert not any("user@database" in line for line in lines)
    alone = text(healthy(groups=groups[:1]))
    assert "all sessions" not in alone
    assert "app@shop" in alone


def test_the_process_behind_a_group() -> None:
    made = replace(
        LEAK,
        key=LEAK.key._replace(process=812),
        process=ClientProcess(812, "python -m checkout.api", pooler="PgBouncer"),
    )
    assert "         process 812 (PgBouncer): python -m checkout.api" in text(report(groups=(made,))).splitlines()
    row = next(line for line in text(report(groups=(made,))).splitlines() if line.startswith("LEAK"))
    assert " 812 " in row


def test_growth_is_shown_with_its_range_and_only_where_it_is_one() -> None:
    shown = text(report())
    assert "+2.4 a minute (1.9 to 2.9), 10 opened, 0 closed" in shown
    uncertain = LEAK._replace(trend=Trend(0.4, -0.5, 1.3, 24.0), opened=0)
    row = next(line for line in text(report(groups=(uncertain,))).splitlines() if line.startswith("LEAK"))
    assert "~0" in row
    shrinking = LEAK._replace(trend=Trend(-2.0, -3.0, -1.0, 24.0))
    assert "-2 a minute (-3 to -1)" in text(report(groups=(shrinking,)))


def test_sessions_are_listed_when_there_are_some() -> None:
    listed = session(
        pooled_client=PooledClient("10.0.0.44", 6000, "web", "app", "shop", "active"),
        detail=Detail(NOW, "SELECT 'x' " + "-- long " * 40),
    )
    made = report(sessions=(listed, session(4712, Verdict.OK, reason="listens", process=None)))
    lines = text(made).splitlines()
    start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("pid "))
    assert lines[start + 1].split()[:2] == ["4711", "LEAK"]
    assert "idle in transaction for 92 s; process 812: python" in lines[start + 2]
    assert "10.0.0.44:6000 (web)" in " ".join(lines)
    assert "SELECT" not in text(made)
    statement = next(line for line in text(made, queries=True).splitlines() if "SELECT" in line)
    assert statement.endswith("…")
    assert len(statement) == 80
    assert "1 more session, all ok (--limit 2 shows all)" in text(made, limit=1)


def test_a_password_in_a_statement_is_masked() -> None:
    from dbdoctor.model.secret import Secret

    Secret("hunter2-of-leaks")
    listed = session(
        detail=Detail(NOW, "ALTER ROLE app PASSWORD 'hunter2-of-leaks'"),
        process=ClientProcess(1, "serve hunter2-of-leaks"),
    )
    shown = text(report(sessions=(listed,)), queries=True)
    assert "ALTER ROLE app PASSWORD '***'" in shown
    assert "hunter2-of-leaks" not in shown


def test_notes_and_skipped_rules_are_shown() -> None:
    shown = text(report(skipped=(SKIPPED,), notes=("the last line of the recording is torn",)))
    assert "skipped[prepared-transactions]: pg_prepared_xacts may not be read" in shown
    assert "  help: GRANT pg_monitor TO app;" in shown
    assert "note: the last line of the recording is torn" in shown


def test_two_thousand_groups_cost_no_more_than_those_shown() -> None:
    made = many(2000)
    list(report_lines(made, PLAIN))
    took = []
    for _ in range(3):
        started = time.process_time()
        list(report_lines(made, PLAIN))
        took.append(time.process_time() - started)
    assert min(took) < 0.05
    assert len(GROUPS) == 7
