"""Running dbdoctor, and cleaning up after tests that do not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import guard
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.terminal import Screen, run_on_terminal
from tests.servers.waiting import wait_until
from tests.servers.workspace import REPOSITORY


def test_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/")
    monkeypatch.setenv("DBDOCTOR_DSN", "postgresql://elsewhere/")
    result = run_dbdoctor("--version")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"dbdoctor \d+\.\d+\.\d+\n", result.stdout)
    assert 0 < result.cpu_seconds <= result.seconds + 0.05
    assert (result.left_behind, result.outlived_by) == ((), ())
    names = set(start_dbdoctor(program=("env",)).finish().stdout.split())
    assert not [line for line in names if line.startswith(("PG", "DATABASE", "DBDOCTOR"))]


def test_what_it_leaves_is_told_and_ended() -> None:
    script = "sleep 60 & (setsid sleep 61 &) ; touch $TMPDIR/left; cat; echo no >&2; exit 3"
    result = start_dbdoctor(program=("sh", "-c", script), stdin="abc").finish()
    assert (result.exit_code, result.stdout, result.stderr) == (3, "abc", "no\n")
    # A child that was only just forked may still show the shell's command line, not yet that of the `sleep` it becomes.
    assert len(result.outlived_by) == 2
    assert all(name in {"sleep 60", "sleep 61"} or name.startswith(("sh -c", "setsid")) for name in result.outlived_by)
    assert [Path(path).name for path in result.left_behind] == ["left"]


def test_one_that_hangs_is_ended_with_its_words() -> None:
    started = time.monotonic()
    with pytest.raises(AssertionError, match=r"still ran after 0.5 s; it wrote: hi"):
        start_dbdoctor(program=("sh", "-c", "echo hi; sleep 60 & wait")).finish(0.5)
    assert time.monotonic() - started < 5


def test_signals_and_words() -> None:
    with start_dbdoctor(
        program=("sh", "-c", "trap 'echo caught; exit 5' TERM; echo ready; sleep 60 & wait")
    ) as running:
        running.wait_for("ready")
        running.send_signal(signal.SIGTERM)
        result = running.finish(10)
    assert result.exit_code == 5
    assert result.stdout == "ready\ncaught\n"
    assert [text for _, _, text in result.pieces] == ["ready\n", "caught\n"]


def test_a_terminal() -> None:
    result = run_on_terminal("--version", columns=123)
    assert result.exit_code == 0
    assert re.fullmatch(r"dbdoctor \d+\.\d+\.\d+", result.screen[0])


def test_ctrl_c_on_a_terminal() -> None:
    words = "import os, time; print(os.get_terminal_size().columns, 'columns', flush=True); time.sleep(60)"
    result = run_on_terminal(
        columns=123,
        program=(sys.executable, "-c", words),
        after_start=lambda running, keys: (running.wait_for("columns"), os.write(keys, b"\x03")),
    )
    assert result.exit_code == -signal.SIGINT
    assert result.screen[0] == "123 columns"
    assert result.screen[-1] == "KeyboardInterrupt"


def test_stdout_piped_from_a_terminal() -> None:
    result = run_on_terminal(
        program=("sh", "-c", "test -t 1 || echo pipe; test -t 2 && echo tty >&2"), stdout_piped=True
    )
    assert (result.stdout, result.screen) == ("pipe\n", ("tty",))


@pytest.mark.parametrize(
    ("drawn", "screen"),
    [
        ("one\r\ntwo", ("one", "two")),
        ("wait...\r\x1b[Kdone\r\n", ("done",)),
        ("a\r\nb\r\n\x1b[2A\x1b[2Kc\r\n", ("c", "b")),
        ("\x1b[31mred\x1b[0m\x1b[?25l", ("red",)),
        ("12345678901", ("1234567890", "1")),
        ("ab\b_\x1b[5Gx", ("a_  x",)),
    ],
)
def test_what_a_person_sees(drawn: str, screen: tuple[str, ...]) -> None:
    picture = Screen(10)
    picture.feed(drawn)
    assert picture.shown() == screen


KILLED = """
import sys, time
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace
server = PostgresServer().start()
server.pause()
print(workspace().root, server.pid, flush=True)
time.sleep(60)
"""


def test_nothing_is_left_after_kill_9() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        root, pid = process.stdout.readline().split()
        assert Path(root).is_dir()
        process.kill()
    wait_until(lambda: not Path(root).exists() and not guard.running({int(pid)}), "the guard", 15)


LEAK = """
from tests.servers.postgresql import PostgresServer
kept = []
def test_leaves_a_server():
    kept.append(PostgresServer().start())
"""


def test_a_server_left_behind_fails_the_session(tmp_path: Path) -> None:
    (tmp_path / "test_leak.py").write_text(LEAK)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert re.search(r"the tests left something behind =+\s+postgres \(process \d+\) was not stopped", done.stdout)
