"""`dbdoctor report` as a user runs it: where the file goes, what it holds, what is refused, the exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.render.whole import RECORDING, recorder_file
from tests.servers import odbc
from tests.servers.cli import Result, Running, run_dbdoctor, start_dbdoctor
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.tds import TdsServer
from tests.servers.terminal import run_on_terminal
from tests.servers.workspace import free_port

TRACE = RECORDING.with_name("checkouts.csv")
SECRET = "hunter-secret-2"


def report(*arguments: str | Path, **more) -> Result:
    return run_dbdoctor("report", *arguments, **more)


def page_of(place: Path, *arguments: str | Path, code: int = 0, **more) -> str:
    result = report(*arguments, "--html", place / "report.html", **more)
    assert result.exit_code == code, result.stderr
    assert result.stdout == f"{place / 'report.html'}\n"
    return (place / "report.html").read_text()


def test_a_server_is_reported(postgres: PostgresServer, tmp_path: Path):
    with contextlib.closing(postgres.connect(application_name="</script><b>shop")) as held:
        held.autocommit = False
        held.cursor().execute("select 1")
        page = page_of(
            tmp_path, postgres.dsn(), "--no-config", "--for", "2s", "--idle-in-transaction", "1s", "--rate", "50",
            "--use-time", "20ms", code=1,
        )  # fmt: skip
    assert "<b>shop" not in page
    assert "&lt;/script&gt;&lt;b&gt;shop" in page
    assert "sessions-plot-wide" in page
    assert "stages-plot-wide" in page
    assert "curve-plot-wide" in page
    assert "<code>idle-in-transaction</code>, from leaks" in page
    assert "dbdoctor simulate-timeout postgresql://" in page


def test_the_default_name_tells_what_of_and_when(tmp_path: Path):
    result = report("--from", RECORDING, cwd=tmp_path)
    assert result.exit_code == 1
    (made,) = tmp_path.iterdir()
    assert result.stdout == f"{made.name}\n"
    assert made.name.startswith("dbdoctor-report-127.0.0.1-shop-2")
    assert made.suffix == ".html"
    assert stat.S_IMODE(made.stat().st_mode) & 0o111 == 0
    assert result.stderr.splitlines()[-1] == "postgresql://app@127.0.0.1:5432/shop: needs help (3 errors)"


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path):
    there = tmp_path / "there.html"
    there.write_text("mine")
    result = report("--from", RECORDING, "--html", there)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert there.read_text() == "mine"
    assert report("--from", RECORDING, "--html", there, "--force").exit_code == 1
    assert there.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [there]


def test_a_device_is_never_replaced(tmp_path: Path):
    assert report("--from", RECORDING, "--html", "/dev/null", "--force").exit_code == 1
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "real.html")
    (tmp_path / "real.html").write_text("old")
    assert report("--from", RECORDING, "--html", link, "--force").exit_code == 1
    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text().startswith("<!DOCTYPE html>")


def test_stdout_takes_the_page_and_nothing_else():
    result = report("--from", RECORDING, "--html", "-")
    assert result.stdout.startswith("<!DOCTYPE html>\n<html")
    assert result.stdout.endswith("</html>\n")


def test_a_directory_gets_a_file_of_the_default_name(tmp_path: Path):
    result = report("--from", RECORDING, "--html", tmp_path)
    assert Path(result.stdout.strip()).parent == tmp_path


def test_no_way_in_is_a_report_too(tmp_path: Path):
    port = free_port()
    page = page_of(tmp_path, f"postgresql://app:{SECRET}@127.0.0.1:{port}/shop", "--no-config", code=3)
    assert "cannot be used" in page
    assert "connection-refused" in page
    assert "The server could not be used." in page
    assert SECRET not in page


def test_a_password_is_nowhere(postgres: PostgresServer, tmp_path: Path):
    with contextlib.closing(postgres.connect(application_name=f"x {PASSWORD} y")):
        page = page_of(tmp_path, postgres.dsn(), "--no-config", "--for", "0")
    assert PASSWORD not in page
    assert "x *** y" in page


def test_a_recorders_trace_is_reported_by_line_of_code(tmp_path: Path):
    (tmp_path / "run").mkdir()
    recorder_file(tmp_path / "run")
    page = page_of(tmp_path, "--from", tmp_path / "run", code=1)
    assert "shop/orders.py:12 take_order" in page
    assert "&lt;lambda&gt;" in page
    assert "Who held what when a pool had no connection left" in page
    assert "A recorder&#39;s trace holds checkouts only." in page
    assert "curve-plot-wide" in page


def test_a_recording_takes_its_demand_from_a_trace(tmp_path: Path):
    page = page_of(tmp_path, "--from", RECORDING, "--trace", TRACE, code=1)
    assert "curve-plot-wide" in page
    assert "slots-plot-wide" in page
    assert "a trace of 3,956 checkouts" in page


def test_what_fails_follows_the_option(tmp_path: Path):
    page_of(tmp_path, "--from", RECORDING, "--fail-on", "never", code=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shop", "--from", RECORDING], "does not go with a target"),
        (["--from", RECORDING, "--for", "5s"], "`--for`"),
        (["--from", RECORDING, "--simulate", "--yes"], "`--simulate`"),
        (["--from", TRACE], "no recording of dbdoctor"),
        (["--from", TRACE], "help: a recording is what `dbdoctor leaks --record FILE` wrote"),
        (["--from", "/nowhere/at/all"], "cannot be read"),
        (["demo", "--trace", "/nowhere/at/all"], "nothing that is there"),
        (["postgresql://x/y", "--simulate"], "no terminal to ask on"),
        (["postgresql://x/y", "--yes"], "`--simulate`"),
        (["postgresql://x/y", "--html", "/nowhere/at/all.html"], "directory"),
        (["postgresql://x/y", "--idle-timeout", "list"], "dbdoctor recommend"),
        (["postgresql://x/y", "--for", "99999d"], "--for"),
        (["postgresql://x/y", "--rate", "5"], "--use-time"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_at(arguments: list[str | Path], said: str):
    result = report(*arguments, "--no-config")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_recording_with_nothing_in_it_makes_no_file(tmp_path: Path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text(RECORDING.read_text().splitlines()[0] + "\n")
    result = report("--from", empty, "--html", tmp_path / "x.html")
    assert result.exit_code == 3
    assert not (tmp_path / "x.html").exists()


def test_ctrl_c_leaves_no_file(postgres: PostgresServer, tmp_path: Path):
    with start_dbdoctor("report", postgres.dsn(), "--no-config", "--for", "5m", cwd=tmp_path) as running:
        running.wait_for("watching sessions for 5 min")
        running.send_signal(signal.SIGINT)
        result = running.finish()
    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []


def test_sql_server_is_reported_in_its_own_words(start_tds: Callable[..., TdsServer], tmp_path: Path):
    server = start_tds("2022")
    written = server.transaction(age=100, log_records=3)
    server.inject(
        idle=90,
        age=200,
        program_name="writer<b>",
        open_transaction_count=1,
        transactions=(written,),
        last_text="UPDATE a",
    )
    page = page_of(
        tmp_path, server.dsn("microsoft"), "--no-config", "--for", "0", env=odbc.environment(), code=1, timeout=60.0
    )
    assert "<code>idle-in-transaction</code>" in page
    assert "writer&lt;b&gt;" in page
    assert "SQL Server" in page
    assert "ALTER SYSTEM" not in page


def test_a_demo_is_a_target_too(tmp_path: Path):
    page = page_of(tmp_path, "demo", "--for", "0", timeout=60.0)
    assert "dbdoctor simulate-timeout demo<" in page
    assert "nothing wrong was seen" in page


def test_trials_that_are_not_confirmed_are_not_begun(postgres: PostgresServer, tmp_path: Path):
    def say_no(running: Running, keyboard: int) -> None:
        running.wait_for("Begin?")
        os.write(keyboard, b"n\n")

    arguments = ("report", postgres.dsn(), "--no-config", "--simulate", "--for", "0", "--html", tmp_path / "x.html")
    result = run_on_terminal(*arguments, after_start=say_no)
    assert result.exit_code == 0, result.drawn
    assert "Not begun, since it was not confirmed." in (tmp_path / "x.html").read_text()


def test_ctrl_c_in_the_trials_leaves_no_file_and_no_session(postgres: PostgresServer, tmp_path: Path):
    arguments = ("report", postgres.dsn(), "--no-config", "--simulate", "--yes", "--for", "0")
    with start_dbdoctor(*arguments, cwd=tmp_path) as running:
        running.wait_for("takes ")
        running.send_signal(signal.SIGINT)
        result = running.finish()
    assert result.exit_code == 130
    assert result.outlived_by == ()
    assert list(tmp_path.iterdir()) == []
