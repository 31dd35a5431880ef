"""Closed, full, abandoned and narrow streams, interruptions, signs of life: the exit code is the verdict's, always."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dbdoctor.cli import check_run
from dbdoctor.cli.main import run
from dbdoctor.errors import UsageError
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Skipped
from dbdoctor.probe import run as probe_run
from dbdoctor.render.clean import cut
from dbdoctor.render.finding import skipped_lines
from dbdoctor.render.style import Style
from tests.servers.cli import Running, clean_environment, run_dbdoctor, start_dbdoctor
from tests.servers.network import black_hole
from tests.servers.terminal import run_on_terminal
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE
from tests.servers.wire_postgres import answers_error, fatal

REFUSED = "postgresql://app@127.0.0.1:1/shop"
CHECK = f"check {REFUSED} --no-config"


def shell(command: str, tmp_path: Path, **env: str) -> tuple[int, str, str]:
    """Runs `dbdoctor` with the shell's redirections; (exit code of dbdoctor, stdout, stderr)."""
    script = f'"{sys.executable}" -m dbdoctor {command}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script],
        env=clean_environment(tmp_path, env),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        errors="replace",
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "redirection", [">&-", "2>&-", "2>/dev/full", "| head -1", "| true", "<&- >&- 2>&-", ">&- 2>/dev/full"]
)
@pytest.mark.parametrize(("command", "code"), [(CHECK, 3), (f"{CHECK} --json", 3), ("explain", 0), ("--help", 0)])
def test_the_verdict_stands(command: str, code: int, redirection: str, tmp_path: Path) -> None:
    exit_code, out, err = shell(f"{command} {redirection}", tmp_path)
    assert err == ""
    assert exit_code == code
    if redirection.startswith("2>"):
        assert out


@pytest.mark.parametrize("command", [CHECK, f"{CHECK} --json", "explain", "explain --json", "--help", "--version"])
def test_a_result_that_cannot_be_written(command: str, tmp_path: Path) -> None:
    exit_code, _, err = shell(f"{command} >/dev/full", tmp_path)
    assert exit_code == 2
    assert err.startswith("error: cannot write the result\n  cause: No space left on device\n\nhelp: ")
    assert err.count("error: ") == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "ascii:strict"])
def test_an_encoding_that_lacks_letters(encoding: str, tmp_path: Path) -> None:
    dsn = "postgresql://m%C3%BCller%E6%BC%A2@127.0.0.1:1/shop"
    exit_code, out, err = shell(f"check {dsn} --no-config", tmp_path, PYTHONIOENCODING=encoding)
    assert exit_code == 3
    assert err == ""
    assert "\\u6f22@127.0.0.1" in out


def interrupted_by(number: int | None) -> tuple[int, tuple[str, ...]]:
    def after_start(running: Running, terminal: int) -> None:
        running.wait_for("127.0.0.1", 8)
        running.wait_for("…", 8)
        if number is None:
            os.write(terminal, b"\x03")
        else:
            running.send_signal(number)

    with black_hole() as port:
        dsn = f"postgresql://app@127.0.0.1:{port}/shop"
        result = run_on_terminal("check", dsn, "--no-config", "--login-timeout", "20s", after_start=after_start)
    assert result.seconds < 10
    return result.exit_code, result.screen


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_on_a_terminal(number: int | None) -> None:
    exit_code, screen = interrupted_by(number)
    assert exit_code == 130
    assert screen[-1] == "interrupted"
    assert not any("…" in line for line in screen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_demo_starts(number: int) -> None:
    def after_start(running: Running, _: int) -> None:
        running.wait_for("…", 10)
        running.send_signal(number)

    result = run_on_terminal("check", "demo", "--no-config", after_start=after_start)
    assert result.exit_code == 130
    assert result.screen == ("interrupted",)
    assert result.result.outlived_by == ()
    assert result.result.left_behind == ()


def test_interrupted_in_pipes() -> None:
    with black_hole() as port:
        dsn = f"postgresql://app@127.0.0.1:{port}/shop"
        running = start_dbdoctor("check", dsn, "--no-config", "--login-timeout", "20s")
        with running:
            running.wait_for("no answer for", 8)
            running.send_signal(signal.SIGTERM)
            result = running.finish(10)
    assert result.exit_code == 130
    assert result.stderr.endswith("interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_at_the_very_end_changes_nothing(number: int, tmp_path: Path) -> None:
    program = (
        "import atexit, os, sys; sys.argv = ['dbdoctor', '--version']\n"
        f"atexit.register(os.kill, os.getpid(), {int(number)})\n"
        "from dbdoctor.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}])
def test_signs_of_life_of_several_targets(env: dict[str, str]) -> None:
    with black_hole() as port:
        hanging = f"postgresql://app@127.0.0.1:{port}/shop"
        arguments = ("check", hanging, REFUSED, hanging, "--no-config", "--login-timeout", "3.5s")
        result = run_on_terminal(*arguments, env=env).result if env else run_dbdoctor(*arguments)
    lines = [(at, text) for at, _, text in result.pieces if "1 of 3 targets checked, 2 under way" in text]
    assert len(lines) == 2
    assert 1.0 <= lines[0][0] <= 2.0
    assert 1.9 <= lines[1][0] - lines[0][0] <= 2.6


def test_progress_fits_a_narrow_terminal() -> None:
    with black_hole() as port:
        dsn = f"postgresql://app@127.0.0.1:{port}/shop"
        # COLUMNS is wrong on purpose, as after a window was made narrower.
        result = run_on_terminal(
            "check", dsn, "--no-config", "--login-timeout", "1.6s", columns=22, env={"COLUMNS": "100"}
        )
    assert "…" in result.drawn
    assert not any("…" in line for line in result.screen)


def test_what_is_cut_counts_columns() -> None:
    assert cut("abcdef", 4) == "abcd"
    assert cut("漢字漢字", 5) == "漢字"
    assert cut("e\u0301a", 2) == "e\u0301a"


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    words = "no entry for you on this machine " * 4
    with FakeServer(answers_error(fatal("28000", words))) as server:
        dsn = f"postgresql://app@127.0.0.1:{server.port}/shop"
        for dsns in ([dsn], [dsn, REFUSED]):
            result = run_on_terminal("check", *dsns, "--no-config", columns=columns)
            drawn = [line for line in result.drawn.replace("\r\x1b[K", "").splitlines() if line]
            assert result.exit_code == 3
            assert max(len(line) for line in result.screen) <= min(columns, 120)
            assert drawn, "nothing was drawn"
            if len(dsns) == 2:
                block = [line for line in result.screen if "why:" in line or line.startswith(" " * 9)]
                assert block
                assert all(line.startswith(("  ", "cannot be used", "2 targets")) for line in result.screen if line)


def test_help_of_a_skipped_rule_wraps() -> None:
    lines = list(skipped_lines(Skipped("some-rule", "no right", "GRANT this to that " * 8), Style(False, 60, True)))
    assert all(len(line) <= 60 for text in lines for line in text.split("\n"))
    assert "\n        " in lines[-1]


def test_json_is_harmless_to_print() -> None:
    with FakeServer(CATALOGUE["says-it-hostile"]) as server:
        result = run_dbdoctor("check", f"postgresql://app@127.0.0.1:{server.port}/shop", "--no-config", "--json")
    texts: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, str):
            texts.append(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(item)

    collect(json.loads(result.stdout))
    assert any("all is well" in text for text in texts)
    for text in texts:
        assert not set(text) & {"\x1b", "\x07", "\r", "\u202e"}, text
        assert "\n" not in text


def test_an_error_without_help_still_has_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> int:
        raise UsageError("that is wrong")

    monkeypatch.setattr(
        sys.modules[run.__module__], "_run_app", fails
    )  # a stand-in: every known error has a help of its own
    assert run(["check"]) == 2
    assert capsys.readouterr().err == "error: that is wrong\n\nhelp: see `dbdoctor --help`\n"


@pytest.mark.parametrize("debug", [False, True])
def test_our_own_fault_in_one_of_several(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for the probe: a fault of our own is not to be had on order."""

    def stand_in(target, deadline, *_):
        if target.database == "faulty":
            raise ZeroDivisionError("with t-pass9-secret")
        return Examination(target, connected=True, seconds=deadline.elapsed)

    monkeypatch.setattr(probe_run, "_probe_of", lambda _: stand_in)
    dsns = [f"postgresql://app:t-pass9-secret@127.0.0.1:1/{name}" for name in ("one", "faulty", "two")]
    code = run(["check", *dsns, "--no-config", "--json", *(["--debug"] if debug else [])])
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    assert [answer["ok"] for answer in answers] == [True, False, True]
    assert [finding["code"] for finding in answers[1]["findings"]] == ["internal-error"]
    assert ("Traceback" in err) is debug
    assert "t-pass9-secret" not in out + err


def test_a_fault_in_a_rule_is_told_with_the_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> Examination:
        raise KeyError("rule")

    monkeypatch.setattr(check_run, "judge", fails)  # a stand-in, as above
    assert run(["check", REFUSED, "--no-config"]) == 4
    out = capsys.readouterr().out
    assert "connection-refused" in out
    assert "internal-error" in out
