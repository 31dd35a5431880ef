"""`dbdoctor leaks` beside a program with the recorder in it: found by itself, followed, recorded, and told when it stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.cli import holding_program
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.workspace import REPOSITORY, workspace

LINE = next(
    number
    for number, line in enumerate(Path(holding_program.__file__).read_text(encoding="utf-8").splitlines(), 1)
    if "# taken here" in line
)
PLACE = f"cli/holding_program.py:{LINE} take"


@contextlib.contextmanager
def program(server: PostgresServer, place: Path, leak_after: float = 0.5) -> Iterator[subprocess.Popen[bytes]]:
    """One that has taken its connection; the file says so."""
    place.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tests.cli.holding_program", server.dsn(), str(place), str(leak_after)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=REPOSITORY, env=workspace().environment(), stdin=pipe, stdout=pipe) as process:
        workspace().watch(process.pid, "holding")
        try:
            assert out(process).readline() == b"ready\n"
            wait_until(lambda: '{"held":1' in "".join(file.read_text() for file in place.glob("*.jsonl")), "its file")
            yield process
        finally:
            workspace().stop(process, signal.SIGKILL)


def out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Its stdout."""
    assert process.stdout is not None
    return process.stdout


def give_back(process: subprocess.Popen[bytes]) -> None:
    """It returns its connection to the pool."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert out(process).readline() == b"given back\n"


def group_of(report: dict[str, Any]) -> dict[str, Any]:
    """The program's, of everything on the server."""
    found: list[dict[str, Any]] = [one for one in report["groups"] if one["application"] == "holding"]
    assert len(found) == 1
    return found[0]


def test_it_is_found_where_runs_are_and_judged_again_from_a_recording(postgres: PostgresServer, tmp_path: Path) -> None:
    run = tmp_path / "state" / "dbdoctor" / "recordings" / "20260101-120000-1"
    recording = tmp_path / "shop.jsonl"
    with program(postgres, run):
        arguments = (
            "leaks",
            postgres.dsn(),
            "--no-config",
            "--for",
            "0",
            "--sessions",
            "--json",
            "--record",
            recording,
        )
        result = run_dbdoctor(*arguments, env={"XDG_STATE_HOME": str(tmp_path / "state")})
        without = run_dbdoctor("leaks", postgres.dsn(), "--no-config", "--for", "0", "--json")
    assert group_of(json.loads(without.stdout))["verdict"] == "ok"
    again = run_dbdoctor("leaks", "--replay", recording, "--sessions", "--json")
    for one in (result, again):
        report = json.loads(one.stdout)
        group = group_of(report)
        assert (one.exit_code, group["verdict"]) == (1, "leak")
        assert [place["place"] for place in group["held"]] == [PLACE]
        assert group["recorder"]["held_too_long"] == 1
        finding = next(found for found in report["findings"] if found["code"] == "held-checkout")
        place = finding["evidence"]["taken_at"][0]
        assert (place["file"], place["line"]) == (holding_program.__file__, LINE)
        held = [session["held"] for session in report["sessions"] if session["application"] == "holding"]
        assert [one["checked_out"] for one in held] == [True]
    # For people, and as one line each.
    text = run_dbdoctor("leaks", "--replay", recording, "--sessions").stdout
    assert f"taken at {PLACE}: 1 session, held for" in " ".join(text.split())
    assert [line for line in text.splitlines()[:-1] if len(line) > 80 and str(tmp_path) not in line] == []


def test_a_watch_follows_what_is_given_back(postgres: PostgresServer, tmp_path: Path) -> None:
    watch = ("leaks", postgres.dsn(), "--no-config", "--watch", "--interval", "200ms", "--json", "--trace", tmp_path)
    with program(postgres, tmp_path) as process, start_dbdoctor(*watch) as running:
        running.wait_for("held-checkout")
        give_back(process)
        running.wait_for('"gone"')
        running.send_signal(signal.SIGINT)
        lines = [json.loads(line) for line in running.finish().stdout.splitlines()]
    found = next(event for event in lines if event.get("code") == "held-checkout")
    assert found["kind"] == "found"
    assert PLACE in found["text"]
    assert [PLACE in line for line in found["taken_at"]] == [True]
    group = group_of(lines[-1])
    assert (group["verdict"], group["held"], group["recorder"]["checked_out"]) == ("ok", [], 0)


def test_a_recorder_that_has_stopped_is_not_believed_and_said(postgres: PostgresServer, tmp_path: Path) -> None:
    with program(postgres, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: "(stopped)" in Path(f"/proc/{process.pid}/status").read_text(), "it to stop")
        for file in tmp_path.glob("*.jsonl"):
            os.utime(file, (time.time() - 60, time.time() - 60))
        result = run_dbdoctor("leaks", postgres.dsn(), "--no-config", "--for", "0", "--json", "--trace", tmp_path)
        process.send_signal(signal.SIGCONT)
    report = json.loads(result.stdout)
    assert group_of(report)["recorder"] is None
    assert any("has stopped writing" in skipped["reason"] for skipped in report["skipped"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("postgresql://nobody@127.0.0.1:1/none", "--no-config", "--trace", "/nowhere/at/all"), "names nothing"),
        (("--replay", "any.jsonl", "--trace", "."), "does not go with"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: tuple[str, ...], word: str) -> None:
    result = run_dbdoctor("leaks", *arguments)
    assert result.exit_code == 2
    assert word in result.stderr
