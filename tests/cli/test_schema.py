"""`dbdoctor schema`: what every command really writes for programs is what its schema says, key by key."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.main import get_command

import dbdoctor
from dbdoctor.cli.app import application
from dbdoctor.schemas import load, names
from tests.cli.schemas import lines_of, problems, strict, validator
from tests.cli.test_leaks import held
from tests.servers import odbc
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import TdsServer

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests" / "recordings" / "shop.jsonl"
CHECKOUTS = ROOT / "tests" / "recordings" / "checkouts.csv"
REFUSED = "postgresql://app@127.0.0.1:1/shop"
# Files that only dbdoctor itself reads again.
OWN = {"recording", "measure-timeout-state"}


def check_run(name: str, *arguments: str | Path, code: int, **more: object) -> dict[str, object]:
    """Runs a command with --json, holds its one object against the schema, and gives it."""
    result = run_dbdoctor(*arguments, "--json", **more)  # type: ignore[arg-type]
    assert result.exit_code == code, result.stderr
    assert problems(name, result.stdout) == []
    found: dict[str, object] = json.loads(result.stdout)
    return found


# --- the schemas themselves


@pytest.mark.parametrize("name", names())
def test_a_schema_is_one_and_whole(name: str) -> None:
    Draft202012Validator.check_schema(load(name))
    Draft202012Validator.check_schema(strict(load(name)))
    assert load(name)["title"]


def test_every_output_has_a_schema() -> None:
    """Whatever the package names `dbdoctor.NAME/N` is described, or is nobody else's."""
    package = Path(dbdoctor.__file__).parent
    text = "\n".join(path.read_text() for path in package.rglob("*.py") if "schemas" not in path.parts)
    named = set(re.findall(r'"dbdoctor\.([a-z-]+)/\d+"', text)) - OWN
    assert named <= set(names())


def test_every_command_with_json_has_a_schema() -> None:
    root = get_command(application())
    with_json = {
        name
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json <= set(names())


def test_what_is_not_described_would_be_found() -> None:
    """The tests' own strictness: a key too many, one too few, a wrong type, in the object and deep in what is shared."""
    good = json.loads(run_dbdoctor("leaks", "--replay", RECORDING, "--json").stdout)
    assert not list(validator("leaks").iter_errors(good))
    bends: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda report: report.update(surprise=1),
        lambda report: report.pop("notes"),
        lambda report: report["groups"][0].update(surprise=1),
        lambda report: report["groups"][0].update(application=1),
        lambda report: report["findings"][0].update(surprise=1),
        lambda report: report["findings"][0]["sessions"][0].update(started_at="yesterday"),
        lambda report: report["slots"].update(surprise=1),
    )
    for bend in bends:
        bad = json.loads(json.dumps(good))
        bend(bad)
        assert list(validator("leaks").iter_errors(bad))


def test_users_may_be_given_more_keys_than_are_described() -> None:
    """Adding keys is free, so the schema that is printed lets them through."""
    report = json.loads(run_dbdoctor("leaks", "--replay", RECORDING, "--json").stdout)
    report["groups"][0]["of_a_later_version"] = 1
    assert not list(Draft202012Validator(load("leaks")).iter_errors(report))


# --- the command


def test_without_a_name_it_lists_them_all() -> None:
    result = run_dbdoctor("schema")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == names()


@pytest.mark.parametrize("word", ["check", "dbdoctor.check/1"])
def test_it_prints_one_that_is_whole_by_itself(word: str) -> None:
    result = run_dbdoctor("schema", word)
    printed = json.loads(result.stdout)
    assert printed == load("check")
    assert not set(re.findall(r'"#/\$defs/([^"]+)"', result.stdout)) - set(printed["$defs"])


@pytest.mark.parametrize(("word", "hint"), [("chek", "`dbdoctor schema check`"), ("../secret", "lists all names")])
def test_a_wrong_name(word: str, hint: str) -> None:
    result = run_dbdoctor("schema", word)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stdout == ""


# --- real outputs


def test_check(postgres: PostgresServer) -> None:
    result = run_dbdoctor("check", "--no-config", postgres.dsn(), REFUSED, "--json")
    assert result.exit_code == 3
    texts = list(lines_of(result.stdout))
    assert [json.loads(text)["ok"] for text in texts] == [True, False]
    assert [problems("check", text) for text in texts] == [[], []]


def test_check_behind_a_pooler_and_of_sql_server(
    postgres: PostgresServer, start_pgbouncer: Callable[..., object], start_tds: Callable[..., TdsServer]
) -> None:
    pooler = start_pgbouncer(postgres.port)
    for dsn in (pooler.dsn(), start_tds("2022").dsn("freetds")):  # type: ignore[attr-defined]
        result = run_dbdoctor("check", "--no-config", dsn, "--json", env=odbc.environment())
        assert json.loads(result.stdout)["ok"], result.stdout
        assert problems("check", result.stdout) == []


def test_leaks_of_a_recording() -> None:
    found = check_run("leaks", "leaks", "--replay", RECORDING, "--sessions", "--queries", code=1)
    assert found["findings"]
    assert found["sessions"]


def test_leaks(postgres: PostgresServer) -> None:
    with held(postgres):
        check_run("leaks", "leaks", "--no-config", postgres.dsn(), "--for", "0", "--sessions", code=0)
    check_run("leaks", "leaks", "--no-config", REFUSED, code=3)


def test_leaks_of_sql_server(start_tds: Callable[..., TdsServer]) -> None:
    server = start_tds("2022")
    server.inject(idle=90, age=200, program_name="shop", last_text="COMMIT")
    arguments = ("leaks", "--no-config", server.dsn("freetds"), "--for", "0", "--sessions")
    found = check_run("leaks", *arguments, code=0, env=odbc.environment())
    assert found["groups"]


def test_what_was_terminated(postgres: PostgresServer) -> None:
    with held(postgres) as connection:
        session = connection.info.backend_pid
        arguments = ("--for", "2s", "--idle-in-transaction", "1s", "--terminate-leaks", "--yes")
        result = run_dbdoctor("leaks", "--no-config", postgres.dsn(), *arguments, "--json")
    assert problems("leaks", result.stdout) == []
    ended = [one["id"] for one in json.loads(result.stdout)["terminated"]]
    assert session in ended


def test_the_events_of_a_watch(postgres: PostgresServer) -> None:
    arguments = ("--watch", "--json", "--interval", "200ms", "--idle-in-transaction", "300ms")
    with held(postgres), start_dbdoctor("leaks", "--no-config", postgres.dsn(), *arguments) as running:
        running.wait_for('"found"')
        running.send_signal(signal.SIGINT)
        result = running.finish()
    *events, report = lines_of(result.stdout)
    assert len(events) >= 2
    assert [problems("leaks-event", text) for text in events] == [[] for _ in events]
    assert problems("leaks", report) == []


def test_simulate_timeout(postgres: PostgresServer) -> None:
    arguments = ("--drop", "closed,reset-on-use", "--pool", "default,pre-ping", "--idle", "1s", "--yes")
    found = check_run("simulate-timeout", "simulate-timeout", "--no-config", postgres.dsn(), *arguments, code=0)
    assert len(found["cases"]) == 4  # type: ignore[arg-type]
    check_run("simulate-timeout", "simulate-timeout", "--no-config", REFUSED, "--yes", code=3)


def test_measure_timeout(postgres: PostgresServer, tmp_path: Path) -> None:
    check_run("measure-timeout", "measure-timeout", "--no-config", postgres.dsn(), "--up-to", "2s", code=0)
    check_run("measure-timeout", "measure-timeout", "--no-config", REFUSED, code=3)


def test_recommend(postgres: PostgresServer) -> None:
    fleet = ("--processes", "2", "--replicas", "3", "--surge", "1", "--idle-timeout", "aws-nlb", "--deadline", "10s")
    questions = ("--what-if", "replicas=6", "--what-if", "pool_size=5,max_overflow=10", "--sweep")
    check_run("recommend", "recommend", "--trace", CHECKOUTS, *fleet, *questions, code=0)
    stated = ("--rate", "50", "--use-time", "20ms")
    check_run("recommend", "recommend", "--no-config", postgres.dsn(), *stated, code=0)
    check_run("recommend", "recommend", "--no-config", REFUSED, code=3)


def test_recommend_verified(postgres: PostgresServer) -> None:
    stated = ("--rate", "40", "--use-time", "10ms", "--verify", "--verify-for", "1s", "--yes")
    found = check_run("recommend", "recommend", "--no-config", postgres.dsn(), *stated, code=0, timeout=60)
    assert found["verified"]


def test_drivers() -> None:
    result = run_dbdoctor("drivers", "--json")
    assert problems("drivers", result.stdout) == []


def test_explain() -> None:
    assert len(check_run("explain", "explain", code=0)["pages"]) > 100  # type: ignore[arg-type]
    check_run("explain", "explain", "too-many-clients", code=0)


PROGRAM = """
import sys, threading, sqlalchemy as sa
engine = sa.create_engine(sys.argv[1], pool_size=1, max_overflow=1, pool_timeout=0.3)
with engine.connect() as connection:
    connection.execute(sa.text("select 1"))
held = engine.connect()
other = engine.connect()
try:
    engine.connect()
except sa.exc.TimeoutError:
    pass
other.invalidate()
other.close()
threading.Event().wait(1.2)
engine.pool.connect().detach()
"""


def test_every_line_of_the_recorder_and_their_summary(postgres: PostgresServer, tmp_path: Path) -> None:
    program, out = tmp_path / "shop.py", tmp_path / "shop.jsonl"
    program.write_text(PROGRAM)
    url = postgres.dsn().replace("postgresql://", "postgresql+psycopg2://", 1)
    command = [sys.executable, "-m", "dbdoctor", "run", "--quiet", "--leak-after", "300ms", "--out", str(out), "--"]
    subprocess.run([*command, sys.executable, str(program), url], check=True, timeout=60, capture_output=True)
    texts = list(lines_of(out.read_text()))
    assert [problem for text in texts for problem in problems("recorder", text)] == []
    kinds = {next(iter(value)) if isinstance(value := json.loads(text), dict) else "row" for text in texts}
    assert {"schema", "site", "pool", "connection", "row", "open", "held", "timeout", "event", "end"} <= kinds
    out.write_text(out.read_text() + "no line\n")
    found = check_run("trace", "trace", out, code=1)
    assert found["timeouts"]
    assert found["findings"]
