"""`dbdoctor leaks --watch` as a user runs it: in a pipe, on a terminal, across restarts, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_leaks import held, leaks_json, ours
from tests.servers.cli import Result, Running, clean_environment, start_dbdoctor
from tests.servers.network import black_hole
from tests.servers.postgresql import PostgresServer
from tests.servers.terminal import run_on_terminal
from tests.servers.waiting import wait_until

Starter = Callable[..., PostgresServer]
QUICK = ("--interval", "200ms", "--idle-in-transaction", "500ms")


def watch(server: PostgresServer, act: Callable[[Running], object], *arguments: str | Path, **more: Any) -> Result:
    """A watch in a pipe that has begun when `act` is called, and gets a Ctrl-C after it."""
    running = start_dbdoctor("leaks", "--no-config", server.dsn(), "--watch", *QUICK, *arguments, **more)
    with running:
        running.wait_for("watching")
        act(running)
        running.send_signal(signal.SIGINT)
        return running.finish()


def test_a_line_per_event_and_a_summary(postgres: PostgresServer) -> None:
    def act(running: Running) -> None:
        with held(postgres):
            running.wait_for(" found ")
        running.wait_for(" gone ")

    result = watch(postgres, act)
    lines = result.stdout.splitlines()
    # A busy machine may be slow now and then.
    events = [line.split()[1] for line in lines if line[:2] == "20" and line.split()[1] != "slow"]
    assert result.exit_code == 1  # what was found is gone, and was found
    assert events[:2] == ["note", "found"]
    assert events[-1] == "gone"
    assert any(line.startswith("earlier, until ") and "idle-in-transaction" in line for line in lines)
    assert lines[-1].startswith("healthy at the end, after 1 finding")
    assert "\x1b" not in result.stdout
    assert result.stderr == ""
    assert ours(postgres) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_the_verdict(postgres: PostgresServer, number: signal.Signals) -> None:
    with held(postgres), start_dbdoctor("leaks", "--no-config", postgres.dsn(), "--watch", *QUICK) as running:
        running.wait_for(" found ")
        running.send_signal(number)
        result = running.finish()
    assert result.exit_code == 1
    assert "LEAK" in result.stdout
    assert "interrupted" not in result.stderr


def test_json_is_a_line_per_event_and_then_the_whole(postgres: PostgresServer) -> None:
    with held(postgres):
        result = watch(postgres, lambda running: running.wait_for('"found"'), "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["schema"] for line in lines[:-1]} == {"dbdoctor.leaks-event/1"}
    assert lines[-1]["schema"] == "dbdoctor.leaks/1"
    found = next(line for line in lines if line["kind"] == "found")
    assert found["code"] == "idle-in-transaction"
    assert found["group"]["application"] == "holder"
    assert result.exit_code == 1


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_it_ends_when_nobody_reads(postgres: PostgresServer, tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "dbdoctor", "leaks", "--no-config", postgres.dsn(), "--watch", *QUICK, *arguments]
    script = " ".join(f"'{part}'" if "'" not in part else f'"{part}"' for part in command)
    done = subprocess.run(
        ["bash", "-c", f"{script} | head -1; exit ${{PIPESTATUS[0]}}"],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_restart_is_survived_and_said(start_postgres: Starter) -> None:
    server = start_postgres()

    def act(running: Running) -> None:
        server.stop("fast")
        running.wait_for(" lost ")
        server.start()
        running.wait_for(" reconnected ")

    result = watch(server, act)
    assert result.exit_code == 0
    assert "lost the server" in result.stdout
    assert "logged in again after " in result.stdout
    assert result.stdout.count(" lost ") >= 1


def test_the_gap_is_in_the_report(start_postgres: Starter) -> None:
    server = start_postgres()
    time.sleep(2.1)  # two starts are told apart from two seconds on

    def act(running: Running) -> None:
        server.restart()
        running.wait_for('"reconnected"')
        seen = running.text("stdout").count("\n")
        with held(server):
            wait_until(lambda: running.text("stdout").count("\n") > seen, "an event after the restart")

    report = json.loads(watch(server, act, "--json").stdout.splitlines()[-1])
    (gap,) = report["observed"]["gaps"]
    assert gap["reason"] == "the server was restarted"
    assert gap["seconds"] > 0


def test_a_program_that_was_stopped_says_so(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"

    def act(running: Running) -> None:
        running.send_signal(signal.SIGSTOP)
        time.sleep(1.6)
        running.send_signal(signal.SIGCONT)
        wait_until(lambda: '"gap"' in path.read_text(), "the gap in the recording")

    result = watch(postgres, act, "--json", "--record", path)
    report = json.loads(result.stdout.splitlines()[-1])
    assert [gap["reason"] for gap in report["observed"]["gaps"]] == ["dbdoctor was kept from looking"]
    assert leaks_json("--replay", path)[1]["observed"]["gaps"] == report["observed"]["gaps"]


def test_a_recording_survives_a_kill(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with (
        held(postgres),
        start_dbdoctor("leaks", "--no-config", postgres.dsn(), "--watch", *QUICK, "--record", path) as running,
    ):
        running.wait_for(" found ")
        running.send_signal(signal.SIGKILL)
        running.finish()
    exit_code, report = leaks_json("--replay", path)
    assert exit_code == 1
    assert report["observed"]["samples"] >= 2
    assert report["notes"] == []


def test_ctrl_c_before_the_first_look() -> None:
    """While it logs in there is nothing to sum up."""
    with black_hole() as port:
        running = start_dbdoctor("leaks", "--no-config", f"postgresql://app@127.0.0.1:{port}/shop", "--watch")
        with running:
            time.sleep(1.0)  # nothing is said before a login has ended
            running.send_signal(signal.SIGINT)
            result = running.finish(10)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.seconds < 4


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)]
)
def test_colour_off_a_terminal(postgres: PostgresServer, env: dict[str, str], coloured: bool) -> None:
    with held(postgres):
        result = watch(postgres, lambda running: running.wait_for("found"), env=env)
    assert ("\x1b[" in result.stdout) == coloured


def test_the_screen_and_the_summary_after_it(postgres: PostgresServer) -> None:
    def act(running: Running, terminal: int) -> None:
        running.wait_for("holder", 15)
        running.wait_for("LEAK", 15)
        os.write(terminal, b"\x03")

    with held(postgres):
        result = run_on_terminal(
            "leaks", "--no-config", postgres.dsn(), "--watch", *QUICK, columns=100, after_start=act
        )
    assert result.exit_code == 1
    assert "\x1b[?1049h" in result.drawn
    after = result.drawn.rpartition("\x1b[?1049l")[2]
    assert "error[idle-in-transaction]" in after
    assert "1 leak" in after.splitlines()[-1]


def test_a_short_watch_draws_its_progress_on_a_terminal(postgres: PostgresServer) -> None:
    result = run_on_terminal("leaks", "--no-config", postgres.dsn(), "--for", "2s", columns=120)
    assert " for 2 s: 1 s, " in result.drawn
    assert not any("watching" in line for line in result.screen)
    assert result.exit_code == 0
