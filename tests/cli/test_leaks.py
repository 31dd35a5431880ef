"""`dbdoctor leaks` as a user runs it: one look, a short watch, what cannot be reached or seen, recordings, bad options."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_startup import imported
from tests.servers.cli import Result, Running, run_dbdoctor
from tests.servers.postgresql import PostgresServer

Starter = Callable[..., PostgresServer]


def leaks(*arguments: str | Path, **more: Any) -> Result:
    return run_dbdoctor("leaks", "--no-config", *arguments, **more)


def leaks_json(*arguments: str | Path, **more: Any) -> tuple[int, dict[str, Any]]:
    result = leaks(*arguments, "--json", **more)
    return result.exit_code, json.loads(result.stdout)


@contextlib.contextmanager
def held(server: PostgresServer, name: str = "holder", **parameters: Any) -> Iterator[Any]:
    """A session that is idle in transaction."""
    with contextlib.closing(server.connect(application_name=name, **parameters)) as opened:
        opened.autocommit = False
        opened.cursor().execute("select 1")
        yield opened


def codes(report: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


# --- what is seen


def test_one_look(postgres: PostgresServer) -> None:
    with held(postgres):
        exit_code, report = leaks_json(postgres.dsn(), "--for", "0")
    group = next(group for group in report["groups"] if group["application"] == "holder")
    assert exit_code == 0
    assert report["schema"] == "dbdoctor.leaks/1"
    assert report["observed"]["samples"] == 1
    assert (group["sessions"], group["idle_in_transaction"], group["growth_per_minute"]) == (1, 1, None)


def test_a_short_watch_finds_a_leak(postgres: PostgresServer) -> None:
    with held(postgres):
        result = leaks(postgres.dsn(), "--for", "2s", "--idle-in-transaction", "1s")
    assert result.exit_code == 1
    assert "LEAK" in result.stdout
    assert "error[idle-in-transaction]" in result.stdout
    # The last look may come late on a busy machine.
    assert re.search(r"\b[23] samples in [2-6] s\b", result.stdout)
    assert result.stderr.startswith("watching postgresql://postgres@127.0.0.1")
    assert " for 2 s: " in result.stderr
    assert result.left_behind == ()


def test_what_the_applications_string_does_wrong_is_found_beside(postgres: PostgresServer) -> None:
    url = postgres.dsn().replace("postgresql://", "postgresql+psycopg2://", 1)
    result = leaks(f"{url}{'&' if '?' in url else '?'}timeout=5", "--for", "0")
    assert "[unknown-driver-option]" in result.stdout
    assert "connect_timeout" in result.stdout


def test_it_watches_ten_seconds_by_itself(postgres: PostgresServer) -> None:
    exit_code, report = leaks_json(postgres.dsn())
    assert exit_code == 0
    assert report["observed"]["samples"] == 11
    assert report["observed"]["seconds"] == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_what_makes_it_fail(postgres: PostgresServer, fail_on: str, code: int) -> None:
    with held(postgres):
        result = leaks(postgres.dsn(), "--for", "1s", "--idle-in-transaction", "500ms", "--fail-on", fail_on)
    assert result.exit_code == code


def test_thresholds_are_the_configs_unless_said_otherwise(postgres: PostgresServer, tmp_path: Path) -> None:
    config = tmp_path / "dbdoctor.toml"
    config.write_text(
        f'[targets.shop]\ndsn = "{postgres.dsn()}"\n[targets.shop.thresholds]\nidle_in_transaction = "500ms"\n'
    )
    with held(postgres):
        found = run_dbdoctor("leaks", "shop", "--config", config, "--for", "1s")
        not_found = run_dbdoctor("leaks", "shop", "--config", config, "--for", "1s", "--idle-in-transaction", "1h")
    assert (found.exit_code, not_found.exit_code) == (1, 0)


def test_groups_are_of_the_words_asked_for(postgres: PostgresServer) -> None:
    with held(postgres, "one"), held(postgres, "two"):
        _, apart = leaks_json(postgres.dsn(), "--for", "0", "--group-by", "application")
        _, together = leaks_json(postgres.dsn(), "--for", "0", "--group-by", "user,database", "--group-by", "client")
    assert {group["application"] for group in apart["groups"]} >= {"one", "two"}
    assert all(group["user"] is None for group in apart["groups"])
    assert [(group["application"], group["sessions"] >= 2) for group in together["groups"]] == [(None, True)]


def test_sessions_and_statements_only_when_asked_for(postgres: PostgresServer) -> None:
    with held(postgres):
        _, plain = leaks_json(postgres.dsn(), "--for", "0")
        _, listed = leaks_json(postgres.dsn(), "--for", "0", "--sessions", "--idle-in-transaction", "0")
        _, with_text = leaks_json(postgres.dsn(), "--for", "0", "--sessions", "--queries", "--idle-in-transaction", "0")
    assert "sessions" not in plain
    assert all("statement" not in session for session in listed["sessions"])
    assert any(session["statement"] == "select 1" for session in with_text["sessions"])


def test_hidden_sessions_are_unknown_and_nothing_seen_is_an_error(start_postgres: Starter) -> None:
    server = start_postgres()
    server.execute("create role blind login password 'secret'")
    with held(server):
        nothing, report = leaks_json(server.dsn(user="blind", password="secret"), "--for", "0")
        with held(server, user="blind", password="secret"):
            some, partly = leaks_json(server.dsn(user="blind", password="secret"), "--for", "0")
    assert nothing == 3
    assert {group["verdict"] for group in report["groups"]} == {"unknown"}
    assert "pg_monitor" in json.dumps(report)
    assert some == 0
    assert {group["verdict"] for group in partly["groups"]} == {"unknown", "ok"}


# --- what cannot be reached


@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        ("postgresql://app@127.0.0.1:1/shop", "connection-refused"),
        ("postgresql://app@nowhere.invalid/shop", "name-not-found"),
    ],
)
def test_a_failed_login_is_named_as_check_names_it(dsn: str, code: str) -> None:
    exit_code, report = leaks_json(dsn)
    checked = json.loads(run_dbdoctor("check", "--no-config", dsn, "--json").stdout)
    text = leaks(dsn)
    assert exit_code == 3
    assert [finding["code"] for finding in report["findings"]] == [finding["code"] for finding in checked["findings"]]
    assert report["findings"][0]["code"] == code
    assert (report["groups"], report["observed"]["samples"]) == ([], 0)
    assert text.exit_code == 3
    assert f"[{code}]" in text.stdout.splitlines()[-1]


def test_a_wrong_password_is_named(postgres: PostgresServer) -> None:
    exit_code, report = leaks_json(postgres.dsn(password="not it"), "--watch")
    assert exit_code == 3
    assert codes(report) == {"wrong-password"}


def test_a_server_that_shows_no_sessions(postgres: PostgresServer) -> None:
    """A relative without the function: the login works, and what leaks asks is refused."""
    postgres.execute("create role nobody login password 'secret'")
    postgres.execute("revoke execute on function pg_stat_get_activity(int) from public")
    try:
        exit_code, report = leaks_json(postgres.dsn(user="nobody", password="secret"), "--for", "0")
    finally:
        postgres.execute("grant execute on function pg_stat_get_activity(int) to public")
        postgres.execute("drop role nobody")
    assert exit_code == 3
    assert codes(report) & {"query-failed"}


def test_a_server_that_goes_away_during_a_short_watch(start_postgres: Starter) -> None:
    server = start_postgres()

    def crash(running: Running) -> None:
        running.wait_for("watching")
        server.stop("immediate")

    result = leaks(server.dsn(), "--for", "3s", "--json", after_start=crash)
    report = json.loads(result.stdout)
    assert result.exit_code == 3
    assert report["observed"]["samples"] >= 1
    assert report["observed"]["gaps"]
    assert report["notes"][-1].startswith("at the end the server was not there: ")
    assert "lost the server: " in result.stderr


def test_ctrl_c_interrupts_a_short_watch(postgres: PostgresServer) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        result = leaks(
            postgres.dsn(),
            "--for",
            "60s",
            after_start=lambda running, number=number: (running.wait_for("watching"), running.send_signal(number)),
        )
        assert result.exit_code == 130
        assert result.stdout == ""
        assert result.stderr.endswith("interrupted\n")
        assert result.seconds < 5
    assert ours(postgres) == 0


def ours(server: PostgresServer) -> int:
    return int(server.execute("select count(*) from pg_stat_activity where application_name = 'dbdoctor'")[0][0])


def test_no_harm_is_done(start_postgres: Starter) -> None:
    """One session, read only; nothing of it is left."""
    server = start_postgres(settings={"log_statement": "all"})
    leaks(server.dsn(), "--for", "2s", "--idle-in-transaction", "0")
    assert server.log.count("connection authorized") - server.log.count("application_name=psql") == 1
    assert ours(server) == 0


# --- recordings


def test_a_recording_gives_the_same_verdict(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with held(postgres), held(postgres, "other"):
        live = leaks_json(postgres.dsn(), "--for", "2s", "--idle-in-transaction", "1s", "--record", path)
    replayed = leaks_json("--replay", path)
    assert live[0] == replayed[0] == 1
    for report in (live[1], replayed[1]):
        for finding in report["findings"]:
            finding.pop("evidence"), finding.pop("why")
    assert replayed[1]["groups"] == live[1]["groups"]
    assert replayed[1]["observed"] == live[1]["observed"]
    assert replayed[1]["findings"] == live[1]["findings"]
    assert (replayed[1]["slots"], replayed[1]["target"]) == (live[1]["slots"], live[1]["target"])


def test_a_recording_is_judged_by_other_measures(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with held(postgres):
        leaks(postgres.dsn(), "--for", "1s", "--record", path, "--idle-in-transaction", "1h")
    assert leaks("--replay", path).exit_code == 0
    assert leaks("--replay", path, "--idle-in-transaction", "500ms").exit_code == 1
    _, report = leaks_json("--replay", path, "--group-by", "user")
    assert all(group["application"] is None for group in report["groups"])


def test_a_torn_recording_says_so(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    leaks(postgres.dsn(), "--for", "2s", "--record", path)
    os.truncate(path, path.stat().st_size - 3)
    exit_code, report = leaks_json("--replay", path)
    assert exit_code == 0
    assert report["observed"]["samples"] == 2
    assert report["notes"][-1] == "the recording's last line is torn: its snapshot is lost"
    assert "torn" in leaks("--replay", path).stdout


def test_a_recording_goes_on(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    for _ in range(2):
        assert leaks(postgres.dsn(), "--for", "1s", "--record", path).exit_code == 0
    _, report = leaks_json("--replay", path)
    assert report["observed"]["samples"] == 4
    assert [gap["reason"] for gap in report["observed"]["gaps"]] == ["the recording was interrupted"]


def test_a_recording_is_offline(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    leaks(postgres.dsn(), "--for", "0", "--record", path)
    exit_code, names = imported("leaks", "--replay", str(path))
    assert exit_code == 0
    assert names.isdisjoint({"psycopg2", "sqlalchemy", "rich", "psutil", "asyncio"})


def test_a_recording_that_cannot_be_written_is_said_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("something else\n")
    for path in (tmp_path, tmp_path / "no" / "file", other, Path("/dev/null")):
        result = leaks(postgres.dsn(), "--record", path)
        assert result.exit_code == 2
        assert result.seconds < 5
        assert "help: " in result.stderr
    assert other.read_text() == "something else\n"


# --- options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--group-by", "aplication"], "did you mean `application`"),
        (["--group-by", "xyzzy"], "application, user, database, client, process"),
        (["--group-by", ","], "is empty"),
        (["--interval", "100ms"], "`--interval` must lie between 0.2s and 1h"),
        (["--interval", "2h"], "`--interval` must lie between"),
        (["--interval", "soon"], "`--interval` is not a duration"),
        (["--for", "500ms"], "`--for` is 0 for a single look, or at least 1s"),
        (["--for", "-1s"], "`--for` is not a duration"),
        (["--idle", "x"], "`--idle` is not a duration"),
        (["--idle-in-transaction", "x"], "`--idle-in-transaction` is not a duration"),
        (["--watch", "--for", "10s"], "`--watch` goes on until Ctrl-C"),
        (["--replay", "/no/such/file"], "`--replay` does not go with a target"),
        (["--limit", "0"], "--limit"),
        (["--terminate", "4711", "--watch"], "`--terminate` does not go with `--watch`"),
        (["--terminate", "x", "--yes"], "`--terminate` takes session ids"),
        (["--terminate-leaks"], "there is no terminal to ask on"),
        (["--yes"], "`--yes` answers a question"),
        (["another"], "unexpected extra argument"),
    ],
)
def test_bad_options_are_said_before_anything_is_done(arguments: list[str], words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        result = leaks(f"postgresql://app@127.0.0.1:{server.getsockname()[1]}/shop", *arguments)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("error: ")
    assert "help: " in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["--watch"], ["--record", "x"], ["--for", "1s"], ["--interval", "1s"], ["--terminate", "1", "--yes"]]
)
def test_a_recording_stands_for_itself(arguments: list[str]) -> None:
    result = leaks("--replay", "file", *arguments)
    assert result.exit_code == 2
    assert "`--replay`" in result.stderr


def test_a_single_look_imports_only_what_it_needs(start_postgres: Starter) -> None:
    server = start_postgres()
    exit_code, names = imported("leaks", "--no-config", "--for", "0", server.dsn())
    assert exit_code == 0
    assert names.isdisjoint({"rich", "sqlalchemy", "psutil", "asyncio", "cryptography", "tomllib", "pyodbc"})


# --- ending sessions


@pytest.fixture
def shop(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """A role whose sessions may be ended."""
    postgres.execute("create role shop login password 'secret'")
    yield {"user": "shop", "password": "secret"}
    postgres.execute("drop role shop")


def test_sessions_are_ended_by_their_ids(postgres: PostgresServer, shop: dict[str, str]) -> None:
    with held(postgres, **shop) as one, held(postgres, "other", **shop) as other:
        pids = [str(one.info.backend_pid), str(other.info.backend_pid)]
        arguments = ["--terminate", pids[0], "--idle-in-transaction", "0", "--yes"]
        exit_code, report = leaks_json(postgres.dsn(), *arguments)
        left = postgres.execute("select pid from pg_stat_activity where pid = any(%s)", ([int(pid) for pid in pids],))
    assert [(one["id"], one["outcome"]) for one in report["terminated"]] == [(int(pids[0]), "ended")]
    assert left == [(int(pids[1]),)]
    assert exit_code == 1  # it was found


def test_leaks_are_ended(postgres: PostgresServer, shop: dict[str, str]) -> None:
    with held(postgres, **shop) as one:
        pid = one.info.backend_pid
        result = leaks(postgres.dsn(), "--terminate-leaks", "--yes", "--for", "2s", "--idle-in-transaction", "1s")
        left = postgres.execute("select pid from pg_stat_activity where pid = %s", (pid,))
    assert "1 of 1 session ended" in result.stdout
    assert left == []
