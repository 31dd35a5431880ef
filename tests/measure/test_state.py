"""The file behind `--background`: whole or not at all, for its owner alone, and nothing else is overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbdoctor.errors import UsageError
from dbdoctor.measure.state import SCHEMA, State, read_state, started_ticks, write_state

STATE = State("postgresql://app@db1:5432/shop", {"up_to": 10.0}, pid=7, at_least_seconds=3.5, sessions=[[4711, 1.5]])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert read_state(path) is None
    write_state(path, STATE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
    got = read_state(path)
    assert got is not None
    assert got._replace(written_at=0.0) == STATE
    assert json.loads(path.read_text())["schema"] == SCHEMA


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"schema": "other/1"}', f'{{"schema": "{SCHEMA}"}}', "\udcff"]
)
def test_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError):
        read_state(path)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_state(tmp_path / "no" / "state", STATE)
    with pytest.raises(UsageError):
        read_state(tmp_path)


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    own = STATE._replace(pid=os.getpid(), pid_started=started_ticks(os.getpid()))
    assert own.runs
    assert not own._replace(pid_started=1).runs
    assert not own._replace(exit_code=0).runs
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        assert started_ticks(ended.pid) == 0
