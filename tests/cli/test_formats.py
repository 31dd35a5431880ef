"""`--format` for the tools of others, as they run dbdoctor: what comes on stdout, and the exit code."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.main import get_command

from dbdoctor.cli.app import application
from tests.cli.test_leaks import held
from tests.cli.test_startup import HEAVY, imported
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests" / "recordings" / "shop.jsonl"
CHECKOUTS = ROOT / "tests" / "recordings" / "checkouts.csv"
REFUSED = "postgresql://app@127.0.0.1:1/shop"


def suites(text: str) -> list[dict[str, str]]:
    """Of each suite: what became of each case, by name."""
    return [
        {case.attrib["name"]: case[0].tag if len(case) else "passed" for case in suite.iter("testcase")}
        for suite in ET.fromstring(text)
    ]


# --- check


def test_check_as_annotations(postgres: PostgresServer) -> None:
    result = run_dbdoctor("check", "--no-config", postgres.dsn(), REFUSED, "--format", "github")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("::error ")] == [
        next(line for line in lines if "connection-refused" in line)
    ]
    assert all(line.startswith(("::error ", "::warning ", "::notice ", "dbdoctor check ")) for line in lines)
    assert lines[-1] == f"dbdoctor check {REFUSED}: no way in: 1 error"


def test_check_as_a_test_report(postgres: PostgresServer) -> None:
    result = run_dbdoctor("check", "--no-config", postgres.dsn(), REFUSED, "--format", "junit")
    assert result.exit_code == 3
    well, refused = suites(result.stdout)
    assert {well[stage] for stage in ("connect", "login", "query")} == {"passed"}
    assert "failure" not in well.values()
    assert well["slots-nearly-full"] == "passed"
    assert refused.pop("connect") == "failure"
    assert set(refused.values()) == {"skipped"}


def test_a_report_fails_as_the_exit_code_does(postgres: PostgresServer) -> None:
    """Of `--fail-on warning` the sessions' threshold makes a failure where it makes an exit code."""
    config = "[thresholds]\nslots_warning = 0.001\nslots_error = 1.0\n"
    for extra, code, kind in (((), 0, "system-out"), (("--fail-on", "warning"), 1, "failure")):
        result = run_dbdoctor(
            "check", postgres.dsn(), "--config", "/dev/stdin", *extra, "--format", "junit", stdin=config
        )
        assert result.exit_code == code, result.stderr
        assert suites(result.stdout)[0]["slots-nearly-full"] == kind


def test_check_as_a_plugin(postgres: PostgresServer) -> None:
    result = run_dbdoctor("check", "--no-config", postgres.dsn(), "--format", "nagios")
    assert result.exit_code == 0
    status, _, data = result.stdout.splitlines()[0].partition(" | ")
    assert status.startswith("DBDOCTOR OK - postgresql://postgres@127.0.0.1:")
    figures = dict(one.split("=") for one in data.split())
    assert {"time", "connect_time", "login_time", "query_time", "login_median", "sessions", "sessions_free"} <= set(
        figures
    )
    used, warning, critical, least, most = map(int, figures["sessions"].split(";"))
    assert 0 == least < used <= warning < critical < most
    down = run_dbdoctor("check", "--no-config", postgres.dsn(), REFUSED, "--format=nagios")
    assert down.exit_code == 2
    assert down.stdout.startswith("DBDOCTOR CRITICAL - 1 of 2 targets are well; ")


def test_a_plugin_warns(postgres: PostgresServer) -> None:
    config = "fail_on = 'never'\n[thresholds]\nslots_warning = 0.001\nslots_error = 1.0\n"
    result = run_dbdoctor("check", postgres.dsn(), "--config", "/dev/stdin", "--format", "nagios", stdin=config)
    assert result.exit_code == 1, result.stderr
    assert result.stdout.startswith("DBDOCTOR WARNING - ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--samples", "0"),
        ("--no-such-option",),
        ("--no-config", "mysql://u@h/d"),
        ("--config", "/no/such/file"),
        ("--fail-on", "warning", "demo"),
        ("--login-timeout", "soon", "demo"),
    ],
)
def test_a_plugins_own_trouble_is_unknown(arguments: tuple[str, ...]) -> None:
    """Our exit code 2 would be CRITICAL there, and stderr is not read."""
    result = run_dbdoctor("check", *arguments, "--format", "nagios")
    assert result.exit_code == 3
    assert result.stdout.startswith("DBDOCTOR UNKNOWN - ")
    assert result.stdout.count("\n") == 1
    assert result.stderr.startswith("error: ")


def test_a_plugin_that_is_interrupted_is_unknown() -> None:
    with FakeServer(CATALOGUE["silent"]) as server:
        dsn = f"postgresql://app@127.0.0.1:{server.port}/shop"
        with start_dbdoctor("check", "--no-config", dsn, "--login-timeout", "30s", "--format", "nagios") as running:
            running.wait_for("no answer")
            running.send_signal(signal.SIGTERM)
            result = running.finish()
    assert (result.exit_code, result.stdout) == (3, "DBDOCTOR UNKNOWN - interrupted\n")


def test_a_plugin_says_no_secret(postgres: PostgresServer) -> None:
    for name in ("github", "junit", "nagios"):
        for dsn in (postgres.dsn(), "postgresql://app:s3cr3t-w0rd@127.0.0.1:1/shop"):
            result = run_dbdoctor("check", "--no-config", dsn, "--format", name)
            assert not any(word in result.stdout for word in ("s3cr3t-w0rd", "superuser's", "superuser%27s"))


# --- leaks and recommend


def test_leaks_as_annotations_and_as_a_test_report() -> None:
    result = run_dbdoctor("leaks", "--replay", RECORDING, "--format", "github")
    assert result.exit_code == 1
    assert result.stdout.count("\n::error ") + result.stdout.startswith("::error ") == 3
    result = run_dbdoctor("leaks", "--replay", RECORDING, "--format", "junit")
    assert result.exit_code == 1
    (suite,) = suites(result.stdout)
    failed = {name for name, what in suite.items() if what == "failure"}
    assert failed == {"engine-per-request", "idle-in-transaction", "slots-run-out"}
    assert suite["client-gone"] == "passed"


def test_leaks_of_a_server(postgres: PostgresServer) -> None:
    with held(postgres):
        arguments = ("--for", "2s", "--idle-in-transaction", "1s", "--format", "junit")
        result = run_dbdoctor("leaks", "--no-config", postgres.dsn(), *arguments)
    assert result.exit_code == 1
    assert suites(result.stdout)[0]["idle-in-transaction"] == "failure"
    result = run_dbdoctor("leaks", "--no-config", REFUSED, "--format", "junit")
    assert result.exit_code == 3
    (suite,) = suites(result.stdout)
    assert suite.pop("connect") == "failure"
    assert set(suite.values()) == {"skipped"}


def test_recommend(postgres: PostgresServer) -> None:
    settings = "[targets.shop]\ndsn = '{}'\npool_size = 50\nmax_overflow = 60\nprocesses = 4\n".format(
        postgres.dsn().replace("'", "%27")
    )
    arguments = ("recommend", "shop", "--config", "/dev/stdin", "--rate", "50", "--use-time", "20ms", "--format")
    result = run_dbdoctor(*arguments, "junit", stdin=settings)
    assert result.exit_code == 1, result.stderr
    (suite,) = suites(result.stdout)
    assert suite["fleet-exceeds-slots"] == "failure"
    assert suite["pool-deadlock"] == "passed"
    result = run_dbdoctor(*arguments, "github", stdin=settings)
    assert result.stdout.startswith("::error title=dbdoctor recommend shop%3A fleet-exceeds-slots::")
    refused = run_dbdoctor("recommend", "--no-config", REFUSED, "--format", "github")
    assert refused.exit_code == 3
    assert refused.stdout.startswith("::error title=dbdoctor recommend ")


def test_what_is_not_known_has_not_passed() -> None:
    """Without the current settings there is nothing that a rule could have found well."""
    result = run_dbdoctor("recommend", "--trace", CHECKOUTS, "--format", "junit")
    assert result.exit_code == 0
    assert set(suites(result.stdout)[0].values()) == {"skipped"}


# --- the option


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "demo", "--format", "junti"), "did you mean `junit`?"),
        (("check", "demo", "--format", "yaml"), "its words are text, json, github, junit, nagios"),
        (("leaks", "demo", "--format", "nagios"), "`dbdoctor leaks` does not know"),
        (("leaks", "demo", "--watch", "--format", "github"), "`--watch` shows more than that"),
        (("leaks", "demo", "--terminate-leaks", "--yes", "--format", "junit"), "`--terminate` shows more"),
        (("recommend", "demo", "--format", "nagios"), "`dbdoctor recommend` does not know"),
        (
            ("recommend", "demo", "--verify", "--rate", "1", "--use-time", "1ms", "--format", "junit"),
            "shows nothing of `--verify`",
        ),
        (("simulate-timeout", "demo", "--format", "junit"), "--format"),
    ],
)
def test_what_does_not_go(arguments: tuple[str, ...], words: str) -> None:
    result = run_dbdoctor(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_the_command_line_wins_over_the_config(postgres: PostgresServer) -> None:
    for arguments, begins in (((), "{"), (("--format", "text"), "postgresql://"), (("--format", "junit"), "<?xml")):
        for command in (("check",), ("leaks", "--for", "0")):
            dsn = postgres.dsn()
            result = run_dbdoctor(*command, dsn, "--config", "/dev/stdin", *arguments, stdin="format = 'json'\n")
            if command == ("leaks", "--for", "0") and begins == "postgresql://":
                assert "{" not in result.stdout
            else:
                assert result.stdout.startswith(begins), result.stdout[:200] + result.stderr


@pytest.mark.parametrize("name", ["github", "junit", "nagios"])
def test_nothing_heavy_is_imported_for_a_format(name: str) -> None:
    code, names = imported("check", "--no-config", REFUSED, "--format", name)
    assert code == (2 if name == "nagios" else 3)
    assert names.isdisjoint(HEAVY)


def test_the_sample_for_github_actions_has_commands_that_are_there() -> None:
    """Every command and every option that it runs."""
    root = get_command(application())
    text = (ROOT / "sample_configs" / "github-actions.yml").read_text()
    ran = [
        line.partition(" -- ")[0] for line in re.findall(r"(?:run: |^ +)(dbdoctor .*?)(?: #| &|$)", text, re.MULTILINE)
    ]
    assert {line.split()[1] for line in ran} == {"check", "run", "leaks", "recommend"}
    for line in ran:
        name, *words = line.partition(" > ")[0].split()[1:]
        known = {option for parameter in root.commands[name].params for option in parameter.opts}  # type: ignore[attr-defined]
        assert {word for word in words if word.startswith("--")} <= known, line


SHOP = """
import sys, sqlalchemy as sa
engine = sa.create_engine(sys.argv[1])

def take():
    connection = engine.connect()
    connection.execute(sa.text("select 1"))
    return connection

kept = take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_the_line_of_code_is_marked_in_the_repository(postgres: PostgresServer, tmp_path: Path) -> None:
    """A real program under the recorder: the annotation has the file as the repository has it, and the line."""
    program, out = tmp_path / "shop" / "orders.py", tmp_path / "recordings"
    program.parent.mkdir()
    out.mkdir()
    program.write_text(SHOP)
    url = postgres.dsn().replace("postgresql://", "postgresql+psycopg2://", 1)
    command = [
        sys.executable,
        "-m",
        "dbdoctor",
        "run",
        "--quiet",
        "--out",
        str(out),
        "--",
        sys.executable,
        str(program),
        url,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            assert running.stdout.readline() == "taken\n"
            arguments = ("--trace", out, "--for", "3s", "--idle-in-transaction", "1s", "--format", "github")
            place = {"GITHUB_WORKSPACE": str(tmp_path)}
            result = run_dbdoctor("leaks", "--no-config", postgres.dsn(), *arguments, env=place)
        finally:
            running.stdin.close()
            running.wait(30)
    assert result.exit_code == 1, result.stdout
    line = SHOP.splitlines().index("    connection = engine.connect()") + 1
    assert f"::error file=shop/orders.py,line={line},title=dbdoctor leaks " in result.stdout
