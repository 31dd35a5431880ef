"""`dbdoctor leaks` on SQL Server as users run it: report, recording, end of sessions, and what cannot be seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import odbc
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.tds import ShownRequest, TdsServer

Start = Callable[..., TdsServer]
POSTGRESQL_WORDS = ("pg_", "vacuum", "ALTER ROLE", "pg_monitor", "PostgreSQL", "ALTER TABLE")


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def leaks(dsn: str, *options: str, env: dict[str, str] | None = None) -> Result:
    """One run."""
    return run_dbdoctor("leaks", dsn, "--no-config", *options, env=odbc.environment() if env is None else env)


def _people(server: TdsServer) -> tuple[int, int]:
    """A pool of five that rests, one session that has written, one that waits for it; the ids of these two."""
    for back in range(5):
        empty = server.transaction(age=99.9 + back)
        server.inject(
            idle=100 + back,
            age=200,
            program_name="pool",
            open_transaction_count=1,
            transactions=(empty,),
            last_text="COMMIT",
        )
    written = server.transaction(age=100, log_records=3)
    writer = server.inject(
        idle=90,
        age=200,
        program_name="writer",
        open_transaction_count=1,
        transactions=(written,),
        last_text="UPDATE a SET b = 1",
    )
    request = ShownRequest(
        server.clock.local(), status="suspended", wait_type="LCK_M_S", blocked_by=writer, wait_milliseconds=15_000
    )
    return writer, server.inject(status="running", program_name="waits", request=request)


def test_the_report(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    writer, _ = _people(server)
    result = leaks(server.dsn(driver), "--for", "0", "--sessions")
    assert result.exit_code == 1, result.stderr
    assert "idle-in-transaction" in result.stdout
    assert "idle-session-blocks" in result.stdout
    assert f"session {writer} does nothing and blocks 1 session" in " ".join(result.stdout.split())
    assert "SQL Server 2022 CU16 (16.0.4175.1)" in result.stdout
    assert not [word for word in POSTGRESQL_WORDS if word in result.stdout]
    answer = json.loads(leaks(server.dsn(driver), "--for", "0", "--json").stdout)
    verdicts = {group["application"]: group["verdict"] for group in answer["groups"]}
    assert verdicts == {"writer": "leak", "pool": "ok", "waits": "ok"}


def test_what_the_applications_string_does_wrong_is_found_beside(driver: str, start_tds: Start) -> None:
    """As `check` finds it: it may be the bug that is looked for. Nothing of the sessions hangs on it."""
    dsn = start_tds("2022").dsn(driver) + "Initial Catalog=shop;Connection Timeout=5"
    result = leaks(dsn, "--for", "0", "--json", "--fail-on", "warning")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    found = {finding["code"]: finding["severity"] for finding in report["findings"]}
    assert found == {"odbc-keyword-ignored": "warning", "odbc-login-timeout-ignored": "warning"}
    assert leaks(dsn, "--for", "0").exit_code == 0


def test_a_recording_says_the_same(driver: str, start_tds: Start, tmp_path: Path) -> None:
    server = start_tds("2022")
    _people(server)
    recording = tmp_path / "recording"
    live = leaks(server.dsn(driver), "--for", "2s", "--json", "--record", str(recording))
    again = run_dbdoctor("leaks", "--replay", str(recording), "--json", "--no-config")
    assert live.exit_code == again.exit_code == 1, again.stderr
    one, other = json.loads(live.stdout), json.loads(again.stdout)
    assert [(group["application"], group["verdict"]) for group in one["groups"]] == [
        (group["application"], group["verdict"]) for group in other["groups"]
    ]
    assert [finding["code"] for finding in one["findings"]] == [finding["code"] for finding in other["findings"]]


def test_leaks_are_ended_when_asked_for(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    writer, waiter = _people(server)
    result = leaks(server.dsn(driver), "--for", "0", "--terminate-leaks", "--yes", "--json")
    assert [(one["id"], one["outcome"]) for one in json.loads(result.stdout)["terminated"]] == [(writer, "ended")]
    assert server.sessions.killed == [writer]
    spared = leaks(server.dsn(driver), "--for", "0", "--terminate", str(waiter), "--yes")
    assert server.sessions.killed == [writer]
    assert "spared" in spared.stdout + spared.stderr
    assert f"EXEC ('KILL {waiter}')" in spared.stderr


def test_who_sees_nobody_else_is_told_so_and_ends_nobody(driver: str, start_tds: Start) -> None:
    server = start_tds("2019")
    _people(server)
    result = leaks(server.dsn(driver, UID="reader"), "--for", "0")
    assert result.exit_code == 3
    assert "GRANT VIEW SERVER STATE TO [reader];" in result.stdout
    assert "healthy" not in result.stdout
    assert "no other sessions" not in result.stdout
    refused = leaks(server.dsn(driver, UID="reader"), "--for", "0", "--terminate", "60", "--yes")
    assert refused.exit_code == 3
    assert "nothing was ended" in refused.stderr
    assert server.sessions.killed == []


@pytest.mark.parametrize("profile", ["synapse-like", "babelfish-like"])
def test_relatives_say_what_they_do_not_have(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    _people(server)
    result = leaks(server.dsn(driver), "--for", "0")
    text = " ".join(result.stdout.split())
    assert "Traceback" not in result.stderr
    assert "Invalid object name 'sys.dm_" in text
    if profile == "synapse-like":
        assert result.exit_code == 3
        assert "unknown: other sessions are not shown to us" in text
        assert "cannot be used" not in text
        assert "GRANT" not in text
        assert "grant the view" not in text
    else:
        assert "Babelfish for PostgreSQL does not have it" in text
        # A transaction that may be the driver's own empty one is no leak, but nobody knows that it is well.
        report = json.loads(leaks(server.dsn(driver), "--for", "0", "--json").stdout)
        verdicts = {group["application"]: group["verdict"] for group in report["groups"]}
        assert verdicts == {"pool": "unknown", "writer": "unknown", "waits": "ok"}


def test_a_refused_login_is_named(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    result = leaks(server.dsn(driver, PWD="hunter2"), "--for", "0")
    assert result.exit_code == 3
    assert "18456" in result.stdout or "password" in result.stdout.lower()
    assert "hunter2" not in result.stdout + result.stderr


def test_without_a_driver_manager_the_install_line_is_given(start_tds: Start) -> None:
    server = start_tds("2022")
    result = leaks(server.dsn("microsoft"), "--for", "0", env=odbc.environment_without_manager())
    assert result.exit_code == 3
    assert "Traceback" not in result.stderr
    assert "install" in result.stdout + result.stderr
