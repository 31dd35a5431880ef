"""What the screen shows in the room there is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from dbdoctor.model.leaks import LeaksReport, Observed
from dbdoctor.model.server import Slots
from dbdoctor.render.cells import width
from dbdoctor.render.leaks_view import Frame, Room, view
from tests.render.reports import EVENTS, NOW, SKIPPED, healthy, many, report

TARGET = "postgresql://app@db1:5432/shop"
EXPECTED = Path(__file__).parent / "expected"


def shown(
    made: LeaksReport | None, columns: int = 80, lines: int = 24, *, status: str | None = None, limit: int = 50
) -> list[str]:
    drawn = view(Frame(TARGET, made, EVENTS, status, limit), Room(columns, lines))
    return ["".join(span.text for span in line).rstrip() for line in drawn]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (140, 40)])
def test_a_bad_night(columns: int, lines: int) -> None:
    drawn = shown(report(skipped=(SKIPPED,)), columns, lines, status="lost connection 12 s ago, trying again")
    assert "\n".join(drawn) + "\n" == (EXPECTED / f"screen_{columns}x{lines}.txt").read_text()


@pytest.mark.parametrize("columns", [20, 40, 79, 80, 100, 200])
@pytest.mark.parametrize("lines", [1, 2, 5, 8, 12, 24, 60])
@pytest.mark.parametrize("made", [None, report(skipped=(SKIPPED,)), healthy(), many(200), healthy(groups=())])
def test_it_fits_any_window(made: LeaksReport | None, lines: int, columns: int) -> None:
    drawn = view(Frame(TARGET, made, EVENTS, "waiting"), Room(columns, lines))
    assert len(drawn) == lines
    for line in drawn:
        assert columns < 45 or width("".join(span.text for span in line)) <= columns


@pytest.mark.parametrize("lines", [12, 24, 40, 400])
def test_every_group_is_shown_or_counted(lines: int) -> None:
    drawn = shown(many(200), lines=lines, limit=150)
    rows = [line for line in drawn if " service-" in line]
    (more,) = [line for line in drawn if " more group" in line]
    assert int(more.split()[0]) + len(rows) == 200
    assert rows
    assert ("--limit shows more" in more) == (lines == 400)


def test_every_finding_is_shown_or_counted() -> None:
    one = report().findings[0]
    made = report(findings=tuple(replace(one, code=f"code-{i}") for i in range(9)))
    drawn = shown(made, lines=30)
    titles = [line for line in drawn if line.startswith("error[")]
    (more,) = [line for line in drawn if "more finding" in line]
    assert len(titles) + int(more.split()[0]) == 9
    assert titles


def test_findings_are_told_in_full_where_there_is_room() -> None:
    title, fix = (" ".join(f"{word}{i}" for i in range(20, 90)) for word in ("title", "todo"))
    made = report(findings=(replace(report().findings[0], title=title, fix=fix),))
    narrow, wide = shown(made, lines=20), shown(made, lines=40)
    start = next(i for i, line in enumerate(wide) if line.startswith("error["))
    block = wide[start : start + 6]
    assert [line[: len(line) - len(line.lstrip())] for line in block] == ["", "  ", "  ", "  ", "       ", "       "]
    assert [i for i, line in enumerate(block) if line.endswith("…")] == [2, 5]
    words = " ".join(block).replace("…", "").split()
    assert words[1:24] == title.split()[:23]
    assert sum("todo" in line for line in narrow) == 1


def test_the_worst_finding_comes_first() -> None:
    drawn = shown(report())
    heads = [line.split("[")[0] for line in drawn if "]: " in line]
    assert heads == ["error", "warning"]


def test_before_the_first_look() -> None:
    drawn = shown(None)
    assert drawn[0] == f"dbdoctor leaks  {TARGET}"
    assert "waiting for the first look" in drawn
    assert drawn[-1] == "Ctrl-C ends with a summary"


def test_the_slots_fill_up() -> None:
    def bar(used: int) -> str:
        return next(line for line in shown(report(slots=Slots(100, 3, used))) if line.startswith("slots"))

    assert bar(0).count("█") == 0
    assert bar(1).count("█") == 1
    assert bar(97).count("░") == 0
    assert bar(100).count("░") == 0
    assert "62 of 97 in use, 35 free" in bar(62)
    plain = view(Frame(TARGET, report(), EVENTS), Room(80, 24, unicode=False))
    assert "".join(span.text for line in plain for span in line).isascii()


def test_one_look_and_no_sessions() -> None:
    drawn = shown(healthy(groups=(), observed=Observed(NOW, NOW, 1, 0.0)))
    assert "There are no other sessions on this server." in drawn
    assert any("one look at 14:03:22Z" in line for line in drawn)


def test_two_hundred_groups_are_drawn_in_little_time() -> None:
    made = many(200)
    took = []
    for _ in range(5):
        started = time.process_time()
        shown(made)
        took.append(time.process_time() - started)
    assert min(took) < 0.01
