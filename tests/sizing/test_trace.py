import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Trace
from dbdoctor.sizing.trace import read_trace

CSV = ["arrival,wait,use,process\n", "10.5,0.1,0.2,a\n", "10.0,0,0.3,b\n", "10.25,0,0.4,a\n"]


def rows(trace: Trace) -> list[tuple[str, float, float, float]]:
    return [
        (course.process, *row)
        for course in trace.courses
        for row in zip(course.arrivals, course.waits, course.uses, strict=True)
    ]


def test_csv_by_process_and_in_the_order_of_arrival():
    trace = read_trace(CSV)
    assert sorted(rows(trace)) == [("a", -0.25, 0.0, 0.4), ("a", 0.0, 0.1, 0.2), ("b", -0.5, 0.0, 0.3)]
    assert [course.process for course in trace.courses] == ["b", "a"]
    assert (trace.counted, trace.kept, trace.processes, trace.bad_lines) == (3, 3, 2, 0)
    assert trace.span == pytest.approx(0.8)


def test_json_lines_say_the_same():
    names = CSV[0].strip().split(",")
    lines = [json.dumps(dict(zip(names, line.strip().split(","), strict=True))) for line in CSV[1:]]
    assert read_trace(['{"schema": "a recorder\'s first line"}', "", *lines]) == read_trace(CSV)


def test_columns_in_any_order_and_among_others():
    trace = read_trace(["use,thread,Arrival\n", "0.5,7,1\n"])
    assert rows(trace) == [("", 0.0, 0.0, 0.5)]


@pytest.mark.parametrize(
    ("one", "two", "seconds"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01.5+00:00", 1.5),
        ("2026-01-01T01:00:00+01:00", "2026-01-01 00:00:02", 2.0),
        ("1767225600", "1767225600.25", 0.25),
    ],
)
def test_times_are_iso_or_seconds(one, two, seconds):
    (course,) = read_trace([json.dumps({"arrival": when, "use": 1}) for when in (one, two)]).courses
    assert course.arrivals[1] - course.arrivals[0] == pytest.approx(seconds, abs=1e-6)


def test_bad_lines_are_counted_and_the_first_are_named():
    lines = [
        '{"arrival": 1, "use": 1}',
        "{",
        "[]",
        '{"arrival": 1}',
        '{"arrival": "noon:ish", "use": 1}',
        '{"arrival": 1, "use": -1}',
        '{"arrival": 1, "use": "x"}',
        '{"arrival": NaN, "use": 1}',
        '{"arrival": {}, "use": 1}',
        '{"arrival": 1, "use": true}',
        "9" * 10_000,
    ]
    trace = read_trace(lines)
    assert (trace.counted, trace.bad_lines) == (1, 10)
    assert [(bad.number, bad.reason) for bad in trace.bad] == [
        (2, "not JSON"),
        (3, "not a JSON object"),
        (4, "`use` is missing"),
        (5, "`arrival` is neither seconds nor an ISO 8601 time"),
        (6, "`use` is negative"),
    ]


@pytest.mark.parametrize("lines", [[], ["\n"], ["a,b\n", "1,2\n"], ["arrival,use\n"], ['{"use": 1}']])
def test_no_checkout_at_all_is_an_error(lines):
    with pytest.raises(UsageError) as raised:
        read_trace(lines)
    assert "no checkout" in raised.value.what
    assert raised.value.cause


def test_a_long_trace_is_kept_in_blocks_with_the_busiest_among_them():
    draw = random.Random(1)
    now, busiest = 0.0, range(61_000, 61_500)

    def lines() -> Iterator[str]:
        nonlocal now
        for number in range(100_000):
            now += 0.001 if number in busiest else 0.01
            yield f'{{"arrival": {now}, "use": {draw.random()}, "process": {number % 3}}}\n'

    told: list[int] = []
    trace = read_trace(lines(), most=20_000, progress=told.append)
    assert trace.counted == 100_000
    assert trace.kept == 20_000
    assert trace.sampled
    assert told == [65_536]
    assert trace.span == pytest.approx(now, abs=1)
    dense = [course for course in trace.courses if course.arrivals[-1] - course.arrivals[0] < 1]
    assert sum(len(course.arrivals) for course in dense) == 500
    starts = sorted({int(course.arrivals[0]) for course in trace.courses})
    assert starts[0] < 300 < 700 < starts[-1], "blocks of the whole recording, not of one end"


def test_a_block_is_drawn_with_the_same_chance_wherever_it_lies():
    kept = [0] * 10
    for seed in range(60):
        lines = [f'{{"arrival": {number}, "use": 1}}' for number in range(400)]
        trace = read_trace(lines, most=40, seed=seed)
        for course in trace.courses:
            kept[int(course.arrivals[0]) // 40] += 1
    assert min(kept) > 0.6 * sum(kept) / 10


@given(st.text())
def test_nothing_but_a_usage_error_ever_comes_out(text):
    try:
        trace = read_trace(text.splitlines())
    except UsageError:
        return
    assert trace.counted > 0
