"""`dbdoctor trace`: the summary by line of code as it is printed, also by a program that was really recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.schemas import problems
from tests.servers.cli import run_dbdoctor
from tests.traces.files import BEGAN, Recording, frames, shop

LEAKY = """
from sqlalchemy import create_engine, pool, text
engine = create_engine(
    "sqlite://", poolclass=pool.QueuePool, pool_size=1, max_overflow=1, pool_timeout=0.5,
    connect_args={"check_same_thread": False},
)
kept = []
def keep():
    kept.append(engine.connect())
def look():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
for _ in range(50):
    look()
keep()
keep()
try:
    look()
except Exception:
    pass
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run of two processes."""
    shop(4711).write(tmp_path / "run")
    shop(4712, began=BEGAN + 1, orders=1).write(tmp_path / "run")
    return tmp_path / "run"


def test_the_summary_says_what_was_never_returned_and_who_held_what(run):
    result = run_dbdoctor("trace", run)
    assert result.exit_code == 1
    assert not result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "shop.py on web1, 2 processes, 2025-11-21 13:00:00 to 13:01:41 UTC (1m 41s)"
    table = next(place for place, line in enumerate(lines) if line.startswith("line of code"))
    assert lines[table + 1].split()[0] == "app/shop.py:12"
    assert lines[table + 1].split()[-1] == "3"
    assert "error[never-returned]: 3 checkouts never returned, all taken at" in result.stdout
    assert "error[pool-timeout]" in result.stdout
    assert "warning[held-long]" in result.stdout
    assert "warning[garbage-collected]" in result.stdout
    assert "407 checkouts at 4 lines of code: 3 never returned, 2 held for 1m 00s" in " ".join(lines[-2:])
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_the_exit_code_is_by_the_findings(run, fail_on, code):
    assert run_dbdoctor("trace", run, "--fail-on", fail_on).exit_code == code


def test_nothing_wrong_is_exit_code_0(tmp_path):
    path = Recording().site(1, frames("look")).row(0, 0, 500, 1).end(1000).write(tmp_path)
    result = run_dbdoctor("trace", path, "--fail-on", "warning")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 checkout at 1 line of code: 0 never returned"


def test_json_is_as_its_schema_says(run):
    result = run_dbdoctor("trace", run, "--json")
    assert result.exit_code == 1
    assert problems("trace", result.stdout) == []
    found = json.loads(result.stdout)
    assert (found["schema"], found["checkouts"], found["never_returned"]) == ("dbdoctor.trace/1", 407, 3)
    assert found["sites"][0]["line"] == {"file": "/srv/app/shop.py", "line": 12, "function": "take_order"}
    assert found["sites"][0]["use"] is None
    assert [process["ended"] for process in found["processes"]] == ["exit", "exit"]
    never = next(finding for finding in found["findings"] if finding["code"] == "never-returned")
    assert never["evidence"]["sites"][0]["taken_at"][0]["function"] == "take_order"
    assert {held["session"] for held in never["evidence"]["sites"][0]["held"]} == {5001, 5002}


def test_limit_counts_lines_of_code(run):
    result = run_dbdoctor("trace", run, "--limit", "1")
    assert "and 3 lines more" in result.stdout
    assert "and 3 lines more" not in run_dbdoctor("trace", run, "--limit", "0").stdout
    assert run_dbdoctor("trace", run, "--limit", "-1").exit_code == 2


def test_hostile_names_stay_text(tmp_path):
    evil = "\x1b[31mtake\n[bold]\u202eorder"
    recording = Recording(program=evil, host=evil).site(1, frames(evil, file=f"/srv/{evil}.py"))
    recording.pool(1, **{"class": evil}).connection(1, server={"host": evil, "port": 5432, "database": evil})
    recording.open(1, 0, 1, name=evil).say(failed=1, pool=1, site=1, wait=1, error=evil)
    holders = [[1, 5, 1, 9]]
    recording.say(timeout=5, pool=1, site=1, wait=1, thread=9, holders=holders, more=0).say(
        disabled=evil, at=70_000_000
    )
    path = recording.write(tmp_path)
    for options in ((), ("--json",)):
        result = run_dbdoctor("trace", path, *options)
        assert result.exit_code == 1
        assert "[bold]" in result.stdout
        shown = json.dumps(json.loads(result.stdout), ensure_ascii=False) if options else result.stdout
        for harm in ("\x1b", "\u202e", "take\n"):
            assert harm not in shown


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("empty.jsonl", "", "it is empty"),
        ("checkouts.csv", "arrival,use\n1,1\n", "not JSON"),
        ("new.jsonl", '{"schema":"dbdoctor.recorder/2"}\n', "not of the format dbdoctor.recorder/1"),
    ],
)
def test_what_is_no_recording_is_a_clear_error(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    result = run_dbdoctor("trace", tmp_path / name)
    assert result.exit_code == 2
    assert "there is no recording in" in result.stderr
    assert words in result.stderr
    assert "help:" in result.stderr
    assert not result.stdout


def test_a_directory_that_is_not_there_is_a_clear_error(tmp_path):
    result = run_dbdoctor("trace", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "there is no" in result.stderr


def test_without_a_name_it_is_the_newest_run(tmp_path):
    state = tmp_path / "dbdoctor" / "recordings"
    shop().write(state / "99980101-000000-1")
    Recording(99).row(0, 0, 5, 0).end(9).write(state / "99990101-000000-1")
    result = run_dbdoctor("trace", env={"XDG_STATE_HOME": str(tmp_path)})
    assert result.exit_code == 0
    assert "1 checkout at 1 line" in result.stdout
    assert "99990101-000000-1" in result.stderr


def test_stdin_is_read(run):
    text = "".join(path.read_text() for path in sorted(run.iterdir()))
    assert run_dbdoctor("trace", "-", stdin=text).stdout == run_dbdoctor("trace", run).stdout


def test_a_program_that_was_really_recorded(tmp_path):
    program = tmp_path / "shop.py"
    program.write_text(LEAKY)
    recorded = run_dbdoctor("run", "--out", tmp_path / "run", "--", sys.executable, program, timeout=60)
    assert recorded.exit_code == 0, recorded.stderr
    found = json.loads(run_dbdoctor("trace", tmp_path / "run", "--json").stdout)
    sites = [
        (site["line"]["function"], site["line"]["line"], site["checkouts"], site["never_returned"], site["timeouts"])
        for site in found["sites"]
    ]
    assert sorted(sites) == [("keep", 9, 1, 1, 0), ("keep", 9, 1, 1, 0), ("look", 11, 0, 0, 1), ("look", 11, 50, 0, 0)]
    (moment,) = found["timeouts"]
    assert [(holder["frames"][0]["function"], holder["connections"]) for holder in moment["holders"]] == [
        ("keep", 1)
    ] * 2
    assert {finding["code"] for finding in found["findings"]} == {"never-returned", "pool-timeout"}


def test_recommend_reads_a_directory_several_files_and_one_joined_file_alike(run, tmp_path):
    joined = tmp_path / "all.jsonl"
    joined.write_text("".join(path.read_text() for path in sorted(run.iterdir())))
    files = [word for path in sorted(run.iterdir()) for word in ("--trace", path)]
    demands = []
    for options in (["--trace", run], files, ["--trace", joined]):
        result = run_dbdoctor("recommend", *options, "--json")
        assert result.exit_code in (0, 1), result.stderr
        demands.append(json.loads(result.stdout)["demand"])
    assert demands[0] == demands[1] == demands[2]
    assert (demands[0]["processes"], demands[0]["checkouts"]) == (2, 404)


def test_recommend_refuses_a_sample(tmp_path):
    path = Recording(sample=0.1).row(0, 0, 5, 0).write(tmp_path)
    for trace in (path, tmp_path):
        result = run_dbdoctor("recommend", "--trace", trace)
        assert result.exit_code == 2
        assert "demand cannot be replayed from a sample" in result.stderr
