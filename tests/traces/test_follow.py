"""A file that grows is followed: who has what now; nothing of what it holds can do harm."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbdoctor.traces.follow import Follower
from tests.traces.holding_files import BEGAN, NEVER, RecorderFile


def followed(file: RecorderFile) -> Follower:
    follower = Follower(file.path)
    follower.read(NEVER)
    return follower


def test_the_present_is_followed_as_it_changes(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.site(1)
    file.site(2, 40, "report")
    file.connect(1, session=100)
    file.finished(1, 2.0, site=2)
    follower = followed(file)
    one = follower.connections[1]
    assert (one.session, one.opened_at, one.since, follower.frames(one)[0].function) == (100, BEGAN + 1, None, "report")
    file.take(1, 1, 3.0)
    follower.read(NEVER)
    assert (one.since, one.thread, follower.frames(one)[0].line) == (BEGAN + 3, "worker-3", 12)
    file.line(held=1, at=70)
    file.line(closed=1, use=5, how="returned", site=2)
    follower.read(NEVER)
    assert (one.since, one.thread, follower.frames(one)[0].line) == (None, None, 12)
    file.line(event="close", at=9, connection=1, error=None)
    follower.read(NEVER)
    assert follower.connections == {}
    assert (follower.broken, follower.complete) == (0, True)
    follower.close()


def test_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.text('{"connection":1,"pool":1,"at":5,')
    follower = followed(file)
    assert follower.connections == {}
    file.text('"took":1,"session":7,"driver":"x","server":null,"overflow":false,"because":null}\n')
    follower.read(NEVER)
    assert follower.connections[1].session == 7
    follower.close()


@pytest.mark.parametrize("watching", [True, False], ids=["while followed", "before"])
def test_a_file_that_is_begun_anew(tmp_path: Path, watching: bool) -> None:
    """What is open is told again; what was closed between is gone, and where a connection was last is known still."""
    file = RecorderFile(tmp_path)
    file.site(1)
    for number in (1, 2, 3):
        file.connect(number, session=100 + number)
        file.finished(number, 2.0)
    file.take(1, 1, 3.0)
    follower = Follower(file.path)
    if watching:
        follower.read(NEVER)
    file.begin(2)
    file.site(1)
    file.connect(1, session=101)
    file.connect(2, session=102)
    file.take(1, 1, 3.0)
    follower.read(NEVER)
    assert sorted(follower.connections) == [1, 2]
    assert follower.connections[1].since == BEGAN + 3
    assert follower.frames(follower.connections[2])[0].function == "take_order"
    file.line(closed=1, use=5, how="returned", site=1)
    follower.read(NEVER)
    assert follower.connections[1].since is None
    follower.close()


def test_another_process_in_the_same_file_begins_with_nothing(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, session=100)
    file.line(schema="dbdoctor.recorder/1", process=9, began=BEGAN, leak_after_seconds=1.0, sample=1.0, part=1)
    follower = followed(file)
    assert follower.header is not None
    assert (follower.header.process, follower.connections) == (9, {})
    follower.close()


def test_who_detached_or_lost_it_is_not_known(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    for number, how in ((1, "detached"), (2, "lost"), (3, "garbage-collected")):
        file.connect(number, session=number)
        file.take(number, number, 2.0)
        file.line(closed=number, use=1, how=how, site=None)
    follower = followed(file)
    assert [one.sure for one in follower.connections.values()] == [False, False, True]
    follower.close()


def test_ends_are_seen(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.line(disabled="TypeError in hooks.py:40", at=1)
    file.line(end=5, how="exit")
    follower = followed(file)
    assert follower.disabled
    assert follower.ended
    assert follower.is_fresh(time.time())
    os.utime(file.path, (1, 1))
    assert not follower.is_fresh(time.time())
    follower.close()


def test_a_budget_of_time_is_kept_and_nothing_is_lost(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, session=1)
    file.text("".join(f"[{number},1,1,1,1,1]\n" for number in range(100_000)))
    file.connect(2, session=2)
    follower = Follower(file.path)
    follower.read(0.0)
    assert not follower.complete
    turns = 1
    while not follower.complete:
        follower.read(0.0)
        turns += 1
        assert turns < 1000
    assert turns > 2
    assert sorted(follower.connections) == [1, 2]
    follower.close()


@pytest.mark.parametrize("kind", ["missing", "pipe", "directory"])
def test_what_is_no_file_says_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "1-1.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    follower = Follower(path)
    follower.read(NEVER)
    assert follower.header is None
    assert not follower.complete
    follower.close()


_lines = st.sampled_from(
    [
        '{"site":1,"frames":[[1,2,3]]}', '{"site":1,"frames":"x"}', '{"connection":1,"at":NaN}', "[1,2,3]", "[a,b,c,d,e,f]",
        '{"connection":99999999999999999999999,"at":1}', '{"open":1}', '{"closed":[]}', "[" * 5000, "\x00\x1b[31m", "{}",
        '{"event":"close","connection":"1"}', '{"schema":"dbdoctor.recorder/9"}', '{"schema":"dbdoctor.recorder/1"}',
        "[1,1,1,-9,1,1]", '{"open":1,"at":-5,"wait":0,"site":77,"connection":1,"thread":1,"thread_name":5}', "1", "null",
    ]
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_lines | st.text(max_size=30), max_size=20))
def test_hostile_lines_do_no_harm(tmp_path: Path, lines: list[str]) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, session=5)
    file.path.write_bytes(file.path.read_bytes() + "\n".join([*lines, ""]).encode("utf-8", "surrogatepass"))
    file.connect(2, session=6)
    follower = followed(file)
    assert follower.complete
    assert follower.connections[2].session == 6
    for one in follower.connections.values():
        follower.frames(one)
    follower.close()


def test_a_line_of_megabytes_is_left_out(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.text('{"connection":1,"x":"' + "y" * 3_000_000 + '"}\n')
    file.connect(2, session=6)
    follower = followed(file)
    assert (sorted(follower.connections), follower.broken) == ([2], 1)
    follower.close()
