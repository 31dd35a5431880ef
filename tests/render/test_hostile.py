"""Whatever a client calls itself changes nothing but its own cell, in the text and on the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len

from dbdoctor.model.finding import Skipped
from dbdoctor.model.leaks import Event, Forecast, GroupKey, LeaksReport, Observed, Verdict
from dbdoctor.model.session import ClientProcess, Detail
from dbdoctor.model.snapshot import Gap
from dbdoctor.render.cells import plain, width
from dbdoctor.render.leaks_text import report_lines
from dbdoctor.render.leaks_view import Frame, Room, view
from dbdoctor.render.style import Style
from tests.render.hostile import HOSTILE, harmful
from tests.render.reports import EVENTS, GROUPS, IDLE_FINDING, LEAK, NOW, report, session


def as_text(made: LeaksReport, columns: int, unicode: bool) -> list[str]:
    style = Style(colour=False, width=columns, terminal=True, unicode=unicode)
    return "\n".join(report_lines(made, style, limit=50, queries=True)).split("\n")


def as_screen(made: LeaksReport, columns: int, unicode: bool) -> list[str]:
    lines = view(Frame("postgresql://db1", made, EVENTS, "waiting"), Room(columns, 30, unicode))
    return ["".join(span.text for span in line) for line in lines]


DRAWN: dict[str, Callable[[LeaksReport, int, bool], list[str]]] = {"text": as_text, "screen": as_screen}


def with_name(field: str, name: str) -> LeaksReport:
    key = GroupKey(**{**LEAK.key._asdict(), field: name})
    listed = (session(), session(4712, Verdict.OK, reason="listens", **{field: name}))
    return report(groups=(GROUPS[1], LEAK._replace(key=key), *GROUPS[2:]), sessions=listed)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["application", "user", "database", "client"])
@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("drawn", DRAWN)
def test_a_name_changes_its_own_cell_alone(drawn: str, unicode: bool, columns: int, field: str, name: str) -> None:
    shown = plain(HOSTILE[name], unicode=unicode)
    lines = DRAWN[drawn](with_name(field, HOSTILE[name]), columns, unicode)
    others = DRAWN[drawn](with_name(field, "x" * width(shown)), columns, unicode)
    assert len(lines) == len(others)
    changed = 0
    for line, other in zip(lines, others, strict=True):
        assert harmful(line) == ""
        line.encode("utf-8" if unicode else "ascii")
        changed += line != other
        if line != other:
            assert_one_cell_differs(line, other)
    assert changed <= 2  # its row, and that of its session


def assert_one_cell_differs(line: str, other: str) -> None:
    """What differs lies where the other has its x, and takes as many columns."""
    start = other.index("x")
    end = len(other) - other[::-1].index("x")
    end += other[end : end + 1] in {"…", "~"}
    assert line.startswith(other[:start])
    rest = other[end:]
    assert line.endswith(rest)
    middle = line[start : len(line) - len(rest)]
    assert width(middle) == cell_len(middle) == end - start


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("drawn", DRAWN)
def test_nothing_that_others_wrote_reaches_the_terminal_as_it_is(drawn: str, name: str) -> None:
    text = HOSTILE[name]
    made = report(
        target=f"postgresql://{text}",
        observed=Observed(NOW - 24, NOW, 13, 2.0, (Gap(NOW - 9, NOW - 5, text),)),
        forecast=Forecast(60.0, 50.0, 70.0, (text,)),
        groups=(LEAK._replace(reasons=(text, text), spared=text, process=ClientProcess(1, text, pooler=None)),),
        findings=(replace(IDLE_FINDING, title=text, why=text, fix=text, rows=(text,)),),
        skipped=(Skipped("rule", text, text),),
        sessions=(session(reason=text, detail=Detail(NOW, text), process=ClientProcess(1, text)),),
        notes=(text,),
    )
    for line in DRAWN[drawn](made, 80, True):
        assert harmful(line) == ""
        assert len(line) < 3000


@pytest.mark.parametrize("name", HOSTILE)
def test_events_target_and_status_stay_in_their_line(name: str) -> None:
    text = HOSTILE[name]
    lines = view(Frame(text, report(), (Event(NOW, "found", text),), text), Room(80, 24))
    assert len(lines) == 24
    for line in lines:
        shown = "".join(span.text for span in line)
        assert harmful(shown) == ""
        assert cell_len(shown) <= 80
