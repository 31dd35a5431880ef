import io

import pytest

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Trace
from dbdoctor.sizing.recorded import read_recordings
from dbdoctor.sizing.trace import read_trace
from tests.traces.files import BEGAN, Recording, frames, shop


def read(*processes: Recording | list[Recording]) -> Trace:
    groups = [one if isinstance(one, list) else [one] for one in processes]
    return read_recordings([[("a.jsonl", each.bytes) for each in group] for group in groups], most=1_000_000)


def rows(trace: Trace) -> list[tuple[str, float, float, float]]:
    return sorted(
        (course.process, round(arrival, 6), round(wait, 6), round(use, 6))
        for course in trace.courses
        for arrival, wait, use in zip(course.arrivals, course.waits, course.uses, strict=True)
    )


def test_each_process_is_told_apart_and_times_are_seconds():
    one = Recording(1).row(1_000_000, 100, 2000, 0).row(3_000_000, 0, 5000, 0).end(4_000_000)
    other = Recording(1, began=BEGAN + 1).row(1_000_000, 7, 8, 0)  # the same id once more
    trace = read(one, other)
    first, second = f"web1:1:{BEGAN:.6f}", f"web1:1:{BEGAN + 1:.6f}"
    assert rows(trace) == [(first, 0.0, 0.0001, 0.002), (first, 2.0, 0.0, 0.005), (second, 1.0, 7e-6, 8e-6)]
    assert (trace.processes, trace.counted, trace.bad_lines, trace.notes) == (2, 3, 0, ())


def test_open_and_closed_are_a_checkout_too():
    recording = (
        Recording().open(1, 0, 0).row(5_000_000, 0, 1, 0).say(closed=1, use=9_000_000, how="returned", site=None)
    )
    assert [row[1:] for row in rows(read(recording))] == [(-5.0, 1e-5, 9.0), (0.0, 0.0, 1e-6)]


def test_what_is_still_out_is_told():
    recording = (
        Recording().open(1, 0, 0).open(2, 90_000_000, 0).open(3, 0, 0).say(held=3, at=0).row(100_000_000, 0, 0, 0)
    )
    trace = read(recording)
    assert [row[3] for row in rows(trace)] == [pytest.approx(9.99999), 0.0]
    assert len(trace.notes) == 2
    assert trace.notes[0].startswith("never returned and left out: 2 checkouts;")
    assert trace.notes[1] == "1 checkout had not ended when the recording did: counted as used until then"


def test_what_is_out_at_an_orderly_end_is_used_until_then():
    recording = Recording().row(0, 0, 5, 0).open(1, 1_000_000, 0).end(31_000_010)
    assert [row[3] for row in rows(read(recording))] == [5e-06, 30.0]


def test_connections_that_were_not_given_are_told():
    timeout = {"timeout": 9, "pool": 1, "site": 1, "wait": 30_000_000, "thread": 99, "holders": [], "more": 0}
    failed = {"failed": 9, "pool": 1, "site": 1, "wait": 30, "error": "OperationalError"}
    recording = Recording().row(0, 0, 5, 0).say(**timeout)
    assert [note.split(":")[0] for note in read(recording).notes] == ["once `pool_timeout` ran out"]
    (note,) = read(recording.say(**failed).say(**failed)).notes
    assert note.startswith("once `pool_timeout` ran out and 2 times an error came instead of a connection: ")


def test_parts_of_a_process_are_one_and_a_part_is_read_once():
    first = Recording(part=1).pool().connection(1).open(1, 0, 0).row(10, 0, 5, 0)
    second = Recording(part=2).pool().connection(1).open(1, 0, 0).say(closed=1, use=70, how="returned", site=None)
    trace = read([first, second, second])
    assert (trace.processes, trace.counted, trace.notes) == (1, 2, ())
    assert [row[3] for row in rows(trace)] == [7e-05, 5e-06]


def test_pools_of_several_kinds_count_as_processes_and_an_engine_per_request_does_not():
    alike = Recording().pool(1).pool(2).connection(1, 1).connection(2, 2).row(0, 0, 5, 0, 1, 9).row(1, 0, 5, 0, 2, 9)
    assert (read(alike).processes, read(alike).notes) == (1, ())
    other = {"host": "db2", "port": 5432, "database": "audit"}
    several = Recording().pool(1).pool(2).connection(1, 1).connection(2, 2, server=other)
    trace = read(several.row(0, 0, 5, 0, 1, 9).row(1, 0, 5, 0, 2, 9))
    assert trace.processes == 2
    assert "pools of several kinds" in trace.notes[0]


def test_what_was_lost_is_told():
    recording = Recording(part=2).row(0, 0, 5, 0).say(lost=120, at=9)
    notes = read(recording).notes
    assert "120 checkouts were not recorded" in notes[0]
    assert "the beginning was overwritten" in notes[1]


def test_a_sample_is_refused():
    with pytest.raises(UsageError, match="demand cannot be replayed from a sample") as caught:
        read(Recording(sample=0.25).row(0, 0, 5, 0))
    assert "25%" in caught.value.what


def test_no_checkout_is_an_error():
    with pytest.raises(UsageError, match="holds no checkout"):
        read(Recording().site(1, frames("a")))


def test_bad_lines_are_counted_and_named():
    trace = read(Recording().raw("{\n").row(0, 0, 5, 0))
    assert (trace.bad_lines, [bad.reason for bad in trace.bad]) == (1, ["not JSON (a.jsonl)"])


def test_one_file_is_known_by_its_first_line():
    lines = "".join([*shop(1).lines, *shop(2, began=BEGAN + 5).lines])
    trace = read_trace(io.StringIO(lines))
    assert (trace.processes, trace.counted) == (2, 2 * 202)
    assert rows(trace) == rows(read(shop(1), shop(2, began=BEGAN + 5)))


def test_processes_are_merged_by_their_arrivals():
    """So that a block, kept for the whole of a long trace, holds what all processes did at a time."""
    one, other = Recording(1), Recording(2)
    for number in range(2000):
        one.row(number * 1000, 0, 500, 0)
        other.row(number * 1000 + 500, 0, 500, 0)
    trace = read_recordings([[("", one.bytes)], [("", other.bytes)]], most=400)
    assert trace.sampled
    assert trace.processes == 2
    spans = [course.span for course in trace.courses]
    assert max(spans) < 0.02
    assert len(trace.courses) == 2 * 40
