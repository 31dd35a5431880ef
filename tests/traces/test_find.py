import os
import time
from pathlib import Path

import pytest

from dbdoctor.errors import UsageError
from dbdoctor.recorder.places import start_ticks
from dbdoctor.traces.find import by_process, live_recordings, newest_run, recording_files
from tests.traces.files import Recording, of_this_process, shop


def test_the_file_of_a_live_process_is_found(tmp_path):
    path = of_this_process().write(tmp_path / "20261121-100000-1")
    shop().write(tmp_path / "20261121-100000-1")
    (found,) = live_recordings(tmp_path)
    assert (found.path, found.header.process, found.fresh) == (path, os.getpid(), True)
    assert [one.path for one in live_recordings(path.parent)] == [path]
    assert [one.path for one in live_recordings(path)] == [path]


def test_a_recorder_that_stopped_is_not_fresh(tmp_path):
    path = of_this_process().write(tmp_path)
    os.utime(path, (time.time() - 6, time.time() - 6))
    (found,) = live_recordings(tmp_path)
    assert not found.fresh


@pytest.mark.parametrize(
    "other",
    [
        {"start_ticks": 1},  # the same id, but another process
        {"host": "web9"},
        {"process": 0},
        {"process": 1 << 40},
        {"process": 4_194_303, "start_ticks": None},
    ],
)
def test_what_is_another_process_is_not_alive(tmp_path, other):
    of_this_process(**other).write(tmp_path)
    assert live_recordings(tmp_path) == []


def test_the_id_alone_decides_where_the_kernel_tells_no_more(tmp_path):
    of_this_process(start_ticks=None).write(tmp_path)
    assert len(live_recordings(tmp_path)) == 1


def test_the_default_place_is_the_states_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    place = tmp_path / "dbdoctor" / "recordings"
    path = of_this_process().write(place / "99990101-000000-1")
    shop().write(place / "99980101-000000-1")
    assert path in [one.path for one in live_recordings()]
    assert newest_run() == path.parent


def test_what_is_there_may_be_anything(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xff\x00")
    (tmp_path / "b.jsonl").mkdir()
    os.mkfifo(tmp_path / "c.jsonl")
    (tmp_path / "d.jsonl").symlink_to("/nowhere")
    (tmp_path / "e.jsonl").write_bytes(b"")
    (tmp_path / "f.jsonl").symlink_to(tmp_path / "f.jsonl")
    assert live_recordings(tmp_path) == []
    assert live_recordings(tmp_path / "nowhere") == []


def test_a_directory_stands_for_its_files_and_older_parts_come_first(tmp_path):
    new = Recording(part=2).write(tmp_path, "a.jsonl")
    old = Recording(part=1).write(tmp_path, "z.1.jsonl")
    other = Recording(9).write(tmp_path, "b.jsonl")
    (tmp_path / "marks.started").write_text("")
    assert recording_files([tmp_path, new]) == [old, new, other]
    assert by_process(recording_files([tmp_path])) == [[old, new], [other]]


def test_a_directory_of_runs_names_the_newest(tmp_path):
    shop().write(tmp_path / "20260101-000000-1")
    shop().write(tmp_path / "20260102-000000-1")
    with pytest.raises(UsageError, match="in directories below it") as caught:
        recording_files([tmp_path])
    assert "20260102-000000-1" in str(caught.value.help)


def test_what_is_not_there_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            recording_files([path])
    assert recording_files([Path("-")]) == [Path("-")]


def test_start_ticks_are_the_kernels_own():
    assert (start_ticks(os.getpid()) or 0) > 0
