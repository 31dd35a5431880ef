import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.holding import Frame
from dbdoctor.model.recorded import (
    ClosedLine,
    ConnectionLine,
    EndLine,
    FailedLine,
    Header,
    HolderCells,
    PoolLine,
    PoolSettings,
    Record,
    Row,
    SiteLine,
    TimeoutLine,
)
from dbdoctor.traces.parse import LONGEST_LINE, BadLineError, record_of
from dbdoctor.traces.read import Reading, first_header, lines_of, records
from tests.traces.files import BEGAN, Recording, frames, shop


def read(*lines: bytes) -> tuple[list[Record], Reading]:
    reading = Reading()
    return list(records(lines, reading, "a.jsonl")), reading


def test_every_kind_of_line_of_a_whole_recording_is_read():
    found, reading = read(*shop().bytes)
    assert (reading.bad, reading.cut_short, reading.lines) == (0, 0, len(found))
    header = found[0]
    assert isinstance(header, Header)
    assert (header.process, header.began, header.leak_after, header.part) == (4711, BEGAN, 60.0, 1)
    assert header.identity == f"web1:4711:{BEGAN:.6f}"
    assert found[1] == SiteLine(1, (Frame("/srv/app/shop.py", 12, "take_order"),))
    assert PoolLine(1, PoolSettings("QueuePool", 5, 10, 30.0, -1.0, False, False, "rollback")) in found
    assert ConnectionLine(2, 1, 1000, 20_000, 5002, "psycopg2", "db1:5432/shop", True, None) in found
    assert Row(199_000, 100, 20_000, 4, 3, 99) in found
    assert ClosedLine(3, 92_000_000, "returned", 4) in found
    (timeout,) = [record for record in found if isinstance(record, TimeoutLine)]
    assert timeout.holders[0] == HolderCells(1, 90_000_000, 1, 99)
    assert FailedLine(96_000_000, 1, 4, 5_000, "OperationalError") in found
    assert found[-1] == EndLine(100_000_000, "exit")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{\n", "not JSON"),
        (b"null\n", "neither a JSON object nor a row"),
        (b"{}\n", "no kind of line that is known"),
        (b"[1,2,3,4,5]\n", "a row is six whole numbers"),
        (b"[1,2,3,4,5,6,7]\n", "a row is six whole numbers"),
        (b"[1,2,3,4,5,true]\n", "a row is six whole numbers"),
        (b"[1,2,3.5,4,5,6]\n", "a row is six whole numbers"),
        (b"[1,NaN,3,4,5,6]\n", "a row is six whole numbers"),
        (b"[1,-2,3,4,5,6]\n", "a row's numbers are out of range"),
        (b"[1,2,%d,4,5,6]\n" % (1 << 61), "a row's numbers are out of range"),
        (b"[" + b"9" * 5000 + b",2,3,4,5,6]\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"site":1,"frames":7}\n', "`frames` is no list"),
        (b'{"site":1,"frames":[[1,2,3]]}\n', "a frame is a file, a line and a function"),
        (b'{"site":"1","frames":[]}\n', "`site` is no whole number from 0 on"),
        (b'{"closed":1,"how":"returned"}\n', "`use` is missing"),
        (b'{"closed":1,"use":-5,"how":"returned"}\n', "`use` is no whole number from 0 on"),
        (b'{"end":NaN}\n', "NaN is no number"),
        (b'{"timeout":1,"pool":1,"site":1,"wait":1,"holders":[[1]]}\n', "a holder is four whole numbers"),
        (b'{"schema":"dbdoctor.recorder/2"}\n', "not of the format dbdoctor.recorder/1"),
        (b"x" * (LONGEST_LINE + 1), "longer than a megabyte"),
    ],
)
def test_a_line_that_is_none_says_why(line, reason):
    with pytest.raises(BadLineError, match="(?s)" + reason.replace("(", r"\(")):
        record_of(line)


def test_bad_lines_are_counted_and_the_first_are_named():
    recording = Recording().raw("{\n").row(1, 2, 3, 0).raw("[1]\n").raw("\n")
    found, reading = read(*recording.bytes)
    assert [type(record) for record in found] == [Header, Row]
    assert [(bad.file, bad.number, bad.reason) for bad in reading.named] == [
        ("a.jsonl", 2, "not JSON"),
        ("a.jsonl", 4, "a row is six whole numbers"),
    ]
    assert read(*Recording().bytes, *[b"{\n"] * 100)[1].bad == 100


def test_a_line_cut_short_at_the_end_is_no_bad_line():
    found, reading = read(*Recording().row(1, 2, 3, 0).bytes, b"[12,3")
    assert (len(found), reading.bad, reading.cut_short) == (2, 0, 1)
    found, reading = read(*Recording().bytes, b"[1,2,3,0,1,9]")  # whole, but for its end
    assert (len(found), reading.bad, reading.cut_short) == (2, 0, 0)


def test_files_joined_where_one_was_cut_short_are_both_read():
    joined = "".join([*Recording().lines, "[12,3", *Recording(4712).lines]).encode()
    found, reading = read(*io.BytesIO(joined))
    assert [record.process for record in found if isinstance(record, Header)] == [4711, 4712]
    assert (reading.bad, reading.cut_short) == (0, 1)


def test_lines_after_a_header_that_cannot_be_read_belong_to_nobody():
    broken = Recording(4712, began=float("nan")).row(5, 5, 5, 0)
    found, reading = read(*Recording().row(1, 2, 3, 0).bytes, *broken.bytes)
    assert [record.arrival for record in found if isinstance(record, Row)] == [1]
    assert reading.bad == 2
    assert read(b"[1,2,3,4,5,6]\n", b"[1,2,3,4,5,6]\n")[1].bad == 2


def test_a_line_of_megabytes_is_passed_over_in_bounded_memory():
    text = b"a" * (5 * LONGEST_LINE) + b"\n[1,2,3,4,5,6]\n"
    lines = list(lines_of(io.BytesIO(text)))
    assert [len(line) for line in lines] == [LONGEST_LINE + 1, 14]


def test_names_are_cut_and_numbers_that_are_none_are_left_out():
    line = record_of(json.dumps({"site": 1, "frames": frames("f" * 9000)}).encode())
    assert isinstance(line, SiteLine)
    assert len(line.frames[0].function) == 500
    pool = record_of(b'{"pool":1,"class":7,"size":5,"max_overflow":-1,"timeout_seconds":"x","pre_ping":"yes"}')
    assert pool == PoolLine(1, PoolSettings("", 5, -1))


def test_the_first_line_tells_whose_a_file_is():
    header = first_header(io.BytesIO(b"".join(shop().bytes)))
    assert header is not None
    assert header.process == 4711
    assert first_header(io.BytesIO(b"arrival,use\n")) is None
    assert first_header(io.BytesIO(b"")) is None


SEEDS = [line.encode() for line in shop().lines]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=6),
)
def test_no_line_however_spoilt_is_more_than_a_bad_line(line, changes):
    spoilt = bytearray(line)
    for place, new in changes:
        spoilt[place : place + len(new)] = new
    found, reading = read(SEEDS[0], *bytes(spoilt).splitlines(keepends=True), b"[1,2,3,4,5,6]\n")
    assert isinstance(found[0], Header)
    assert reading.lines >= 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([json.loads(line) for line in SEEDS if line.startswith(b"{")]), st.data())
def test_no_value_however_wrong_is_more_than_a_bad_line(fields, data):
    wrong = {key: data.draw(values) if data.draw(st.booleans()) else value for key, value in fields.items()}
    found, reading = read(SEEDS[0], json.dumps(wrong).encode() + b"\n")
    assert len(found) + reading.bad >= 1
