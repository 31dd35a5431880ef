"""What `dbdoctor run` says while a program runs and at its end, and where the files are."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from dbdoctor.cli import run_place
from dbdoctor.recorder.places import start_ticks
from dbdoctor.render.run_lines import news_line
from dbdoctor.render.style import Style
from dbdoctor.traces.news import Ended, Held, Holder, RunNews, Stopped, TimedOut
from tests.recorder.running import SHOP, lines_of, run_program, run_python, write
from tests.servers.cli import Running, run_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.terminal import run_on_terminal

# Holds both connections until it is told to go on, meets a pool timeout, and returns one.
HOLDING = """
import sys
import shop
from sqlalchemy.exc import TimeoutError
shop.take_order()
shop.take_order()
print("holds", flush=True)
sys.stdin.readline()
for _ in range(3):
    try:
        shop.look()
    except TimeoutError:
        print("timed out", flush=True)
def give_back():
    shop.kept.pop().close()
give_back()
print("gave back", flush=True)
sys.stdin.readline()
"""
FORKING = """
import os
import shop
for _ in range(3):
    if os.fork() == 0:
        shop.engine.dispose(close=False)
        shop.look()
        raise SystemExit
    os.wait()
"""
PLAIN = Style(colour=False, width=80, terminal=False)


@pytest.fixture
def shop(postgres: PostgresServer, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """(directory with the shop, environment)."""
    place = write(tmp_path / "work", shop=SHOP, holding=HOLDING)
    return place, {"SHOP_DSN": postgres.dsn(scheme="postgresql+psycopg2"), "PYTHONPATH": str(place)}


def test_held_returned_and_timed_out_are_told_as_they_happen(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop

    def drive(running: Running, keys: int) -> None:
        running.wait_for("holds", 30)
        running.wait_for("connection held for", 30)
        os.write(keys, b"\n")
        running.wait_for("gave back", 30)
        running.wait_for("returned after", 30)
        os.write(keys, b"\n")

    command = ("run", "--out", tmp_path / "out", "--leak-after", "1s", "--", sys.executable, "holding.py")
    env["PYTHONWARNINGS"] = ""
    env["NO_COLOR"] = "1"
    done = run_on_terminal(*command, env=env, cwd=place, columns=200, after_start=drive)
    text = "\n".join(done.screen)
    held = re.findall(
        r"^dbdoctor: connection held for .* taken at shop\.py:7 take_order \(process \d+, session \d+, thread MainThread\)$",
        text,
        re.MULTILINE,
    )
    assert len(held) == 2, text
    assert (
        len(
            re.findall(
                "^dbdoctor: returned after .* at holding.py:15 give_back: .* shop.py:7 take_order", text, re.MULTILINE
            )
        )
        == 1
    )
    assert (
        len(
            re.findall(
                "^dbdoctor: pool timeout after .* at shop.py:9 look .*held by: shop.py:7 take_order, 2 conn",
                text,
                re.MULTILINE,
            )
        )
        == 1
    )
    assert "2 more pool timeouts in process" in text
    assert "never returned" in text
    assert done.exit_code == 0


def test_quiet_says_nothing(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    text = "import shop; shop.take_order(); shop.look(); import sys; print('mine', file=sys.stderr)"
    result = run_python(text, out=tmp_path / "out", options=("--quiet", "--leak-after", "100ms"), env=env, cwd=place)
    assert result.stderr == "mine\n"
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize("room", [0, 20])
def test_a_place_that_takes_nothing_is_said(room: int, shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    out = tmp_path / "out"
    # As a full disk: a file can be made, and nothing, or half a line, be written to it.
    text = f"import resource, shop; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room})); shop.look()"
    result = run_python(text, out=out, env=env, cwd=place)
    assert result.exit_code == 0
    assert f"nothing was recorded: {out} took no file" in result.stderr
    assert "0 processes" not in result.stderr
    assert len(list(out.glob("*.jsonl"))) == 1


def test_nothing_but_ours_goes_to_stderr_and_nothing_of_ours_to_stdout(
    shop: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, env = shop
    result = run_python("import shop; shop.look(); print('mine')", out=tmp_path / "out", env=env, cwd=place)
    assert result.stdout == "mine\n"


def test_a_file_takes_all_processes_at_the_end(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    file = tmp_path / "run.jsonl"
    program = FORKING
    for _ in range(2):  # the second replaces the first
        result = run_python(program, out=file, env=env, cwd=place)
        assert f"dbdoctor trace {file}" in result.stderr
        lines = lines_of(file)
        assert sum(isinstance(line, dict) and "schema" in line for line in lines) == 3
        assert sum(isinstance(line, list) for line in lines) == 3
        assert not result.left_behind
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith((".", "run"))] == ["run.jsonl"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"mine":1}\n')
    result = run_program("true", out=file)
    assert result.exit_code == 2
    assert file.read_text() == '{"mine":1}\n'


def test_the_default_directory_is_private_and_the_summary_names_it(
    shop: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, env = shop
    env.update(XDG_STATE_HOME=str(tmp_path / "state"), PYTHONWARNINGS="")
    result = run_dbdoctor("run", "--", sys.executable, "-c", "import shop; shop.look()", env=env, cwd=place)
    (run,) = (tmp_path / "state" / "dbdoctor" / "recordings").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-\d+", run.name)
    assert run.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in run.iterdir()] == [0o600]
    assert result.stderr.splitlines()[-1] == f"dbdoctor: recorded in {run}; again: `dbdoctor trace {run}`"


def test_no_password_is_in_what_we_write(
    shop: tuple[Path, dict[str, str]], tmp_path: Path, postgres: PostgresServer
) -> None:
    place, env = shop
    program = "import shop, sys; shop.look()"
    result = run_program(
        sys.executable, "-c", program, postgres.dsn(), out=tmp_path / "out", env=env, cwd=place, options=("--debug",)
    )
    secret = postgres.dsn().split(":")[2].partition("@")[0]
    assert secret not in result.stderr
    assert all(secret not in file.read_text() for file in (tmp_path / "out").iterdir())


# --- old runs


def run_of(state: Path, name: str, days: float, header: dict[str, int | None] | None = None) -> Path:
    run = state / name
    run.mkdir(parents=True)
    if header:
        (run / f"{header['process']}-1.jsonl").write_text(json.dumps(header) + "\n")
    for path in (*run.iterdir(), run):
        os.utime(path, (time.time() - days * 86400,) * 2)
    return run


def test_old_runs_are_taken_away(tmp_path: Path) -> None:
    ours = {"process": os.getpid(), "start_ticks": start_ticks(os.getpid())}
    another = {**ours, "start_ticks": 1}  # whose number another process has now
    names = [f"20250101-0000{number:02}-99999{number:02}" for number in range(30)]
    kept = [run_of(tmp_path, name, 1, another) for name in names]
    old = run_of(tmp_path, "20250102-000000-9999999", 8, another)
    alive = run_of(tmp_path, "20240101-000000-9999998", 30, ours)
    other = run_of(tmp_path, "notes", 100)
    link = tmp_path / "20230101-000000-1234567"
    link.symlink_to(other)
    new = run_of(tmp_path, "20250103-000000-1", 0)
    run_place.prune(new)
    left = {entry.name for entry in tmp_path.iterdir()}
    assert not old.exists()
    assert {alive.name, other.name, link.name, new.name} <= left
    assert [run.name for run in kept if run.name in left] == names[12:]


# --- words


FRAMES = (("/venv/lib/python3.11/site-packages/web.py", 7, "call"), ("/app/shop.py", 12, "take_order"))


@pytest.mark.parametrize(
    ("news", "line"),
    [
        (
            Held(4711, 60.2, FRAMES, 4712, "MainThread"),
            (
                "dbdoctor: connection held for 60 s, taken at /app/shop.py:12 take_order "
                "(process 4711, session 4712, thread MainThread)"
            ),
        ),
        (
            Held(4711, 60.2, (), None, "task Task-1"),
            "dbdoctor: connection held for 60 s, taken at a line that is not known (process 4711, task Task-1)",
        ),
        (
            Ended(4711, 92.4, FRAMES, "returned", (("/app/x.py", 3, "f"),)),
            "dbdoctor: returned after 92 s at /app/x.py:3 f: the connection taken at /app/shop.py:12 take_order (process 4711)",
        ),
        (
            Ended(4711, 0.5, FRAMES, "garbage-collected", ()),
            (
                "dbdoctor: never returned, but collected as garbage after 500 ms: "
                "the connection taken at /app/shop.py:12 take_order (process 4711)"
            ),
        ),
        (
            TimedOut(4711, 30.0, FRAMES, 1, (Holder(FRAMES, 92.0), Holder(FRAMES, 3.0), Holder((), 1.0)), 2),
            (
                "dbdoctor: pool timeout after 30 s at /app/shop.py:12 take_order (process 4711); held by: /app/shop.py:12 "
                "take_order, 2 connections, the longest for 92 s; a line that is not known, for 1.0 s; 2 more"
            ),
        ),
        (
            Stopped(4711, "TypeError in hooks.py:40"),
            "dbdoctor: the recorder stopped in process 4711 (TypeError in hooks.py:40); the program is not affected",
        ),
    ],
)
def test_words(news: Held | Ended | TimedOut | Stopped, line: str) -> None:
    assert news_line(news, PLAIN) == line


def test_hostile_names_do_nothing() -> None:
    line = news_line(Held(1, 60, (("/a\x1b[2J.py", 1, "f\n[bold]"),), None, "\u202e"), PLAIN)
    assert line.isprintable()


# --- reading files as they grow


HEADER = {"schema": "dbdoctor.recorder/1", "process": 9, "began": 1.0}
SITE = {"site": 1, "frames": [["/app/shop.py", 12, "take_order"]]}
OPEN = {"open": 1, "at": 0, "wait": 0, "site": 1, "connection": 1, "thread": 5, "thread_name": "T"}


def text_of(*lines: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_news_come_once_through_a_file_begun_anew(tmp_path: Path) -> None:
    file, news = tmp_path / "9-1.jsonl", RunNews()
    file.write_text(text_of(HEADER, SITE, OPEN, {"held": 1, "at": 60_000_000})[:-5])
    assert list(news.read([file])) == []
    file.write_text(text_of(HEADER, SITE, OPEN, {"held": 1, "at": 60_000_000}))
    (held,) = news.read([file])
    assert isinstance(held, Held)
    assert (held.process, held.seconds, held.thread) == (9, 60.0, "T")
    with file.open("a") as more:
        more.write(text_of({"disabled": "why", "at": 1}))
    file.rename(tmp_path / "9-1.1.jsonl")
    file.write_text(text_of({**HEADER, "part": 2}, SITE, OPEN, {"held": 1, "at": 0}))
    files = [tmp_path / "9-1.1.jsonl", file]
    assert [type(one) for one in news.read(files)] == [Stopped]
    with file.open("a") as more:
        more.write(text_of({"closed": 1, "use": 92_000_000, "how": "returned", "site": 1}))
    (ended,) = news.read(files)
    assert isinstance(ended, Ended)
    assert ended.seconds == 92.0


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "{}",
        '{"held":7,"at":1}',
        '{"closed":"x"}',
        '{"site":1}',
        '{"open":[]}',
        "[" * 5000,
        '{"timeout":1}',
        "\x00",
        '{"schema":1}',
    ],
)
def test_broken_lines_are_left_out(line: str, tmp_path: Path) -> None:
    file = tmp_path / "9-1.jsonl"
    file.write_text(text_of(HEADER, SITE, OPEN) + line + "\n" + text_of({"held": 1, "at": 60_000_000}))
    assert [type(one) for one in RunNews().read([file])] == [Held]


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    file, news = tmp_path / "9-1.jsonl", RunNews()
    file.write_text(text_of(HEADER, SITE, OPEN) + "{" + "x" * 5_000_000)
    assert list(news.read([file])) == []
    with file.open("a") as more:
        more.write("}\n" + text_of({"held": 1, "at": 60_000_000}))
    assert [type(one) for one in news.read([file])] == [Held]
