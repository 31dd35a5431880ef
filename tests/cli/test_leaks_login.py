"""`dbdoctor leaks` and a login that hangs, is slow, or is refused late: one login timeout lies over login and examination."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.cli import Result, Running, run_dbdoctor
from tests.servers.network import black_hole, private_names
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import Delay, Silence, TdsServer
from tests.servers.waiting import wait_until
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE

StartPostgres = Callable[..., PostgresServer]
StartTds = Callable[..., TdsServer]

TIMEOUT = 3.0
# What it takes more than the login timeout, 0.3 s; and the process's own start and end on a busy machine.
MORE = 0.3 + 0.9


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def leaks(dsn: str, *options: str, login_timeout: float = TIMEOUT, **more: Any) -> Result:
    return run_dbdoctor("leaks", dsn, "--no-config", "--login-timeout", f"{login_timeout:g}s", *options, **more)


def named(dsn: str, code: str, **more: Any) -> Result:
    """It ends in time, with the code that `check` gives."""
    result = leaks(dsn, "--json", **more)
    assert result.exit_code == 3, result.stderr
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == [code]
    assert result.seconds < TIMEOUT + MORE
    assert result.outlived_by == ()
    checked = run_dbdoctor("check", dsn, "--no-config", "--login-timeout", f"{TIMEOUT:g}s", "--json", **more)
    assert [finding["code"] for finding in json.loads(checked.stdout)["findings"]] == [code]
    return result


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("silent", "accepted-then-silent"),
        ("silent-in-tls", "tls-handshake-stalled"),
        ("silent-after-startup", "startup-stalled"),
    ],
)
def test_a_silent_postgresql(fault: str, code: str) -> None:
    with FakeServer(CATALOGUE[fault]) as server:
        result = named(f"postgresql://app:secret-pass-1@127.0.0.1:{server.port}/shop", code)
    # Else "said nothing for 1.4 s" would be all that is said of three seconds.
    (note,) = json.loads(result.stdout)["notes"]
    assert note.startswith("the login had no answer for ")


def test_a_black_hole() -> None:
    with black_hole() as port:
        named(f"postgresql://app@127.0.0.1:{port}/shop", "no-answer")


def test_a_silent_resolver() -> None:
    with private_names(resolver="silent") as prefix:
        named("postgresql://app@db.example/shop", "resolver-silent", prefix=prefix)


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ("accepted", "accepted-then-silent"),
        ("prelogin-answered", "tls-handshake-stalled"),
        ("login", "login-stalled"),
        ("logged-in", "query-stalled"),
    ],
)
def test_a_silent_sql_server(stage: str, code: str, driver: str, start_tds: StartTds) -> None:
    server = start_tds(encryption="required")
    server.controls.at(stage, Silence())  # type: ignore[arg-type]
    dsn = server.dsn(driver, **({"TrustServerCertificate": "yes"} if driver == "microsoft" else {}))
    named(dsn, code, env=odbc.environment())


def test_a_slow_login_wins(start_postgres: StartPostgres) -> None:
    """The examination beside it has begun, and has left no session by the first look, nor at the end."""
    server = start_postgres(settings={"pre_auth_delay": "2"})
    result = leaks(server.dsn(), "--for", "0", "--sessions", "--json")
    assert result.exit_code == 0, result.stdout
    report = json.loads(result.stdout)
    assert "dbdoctor" not in [group["application"] for group in report["groups"]]
    assert report["observed"]["samples"] == 1
    assert result.stderr == ""
    # The server comes to a connection when its delay is over, ours among them.
    wait_until(lambda: server.log.count("connection received") == 2, "the examination's connection")
    assert server.execute("select count(*) from pg_stat_activity where application_name = 'dbdoctor'") == [(0,)]
    assert result.left_behind == result.outlived_by == ()


def test_a_slow_login_wins_on_sql_server(driver: str, start_tds: StartTds) -> None:
    server = start_tds("2022")
    patience = 2 * TIMEOUT  # the driver has a process of its own, whose start counts too
    server.controls.at("login", Delay(patience * 0.6))
    result = leaks(server.dsn(driver), "--for", "0", "--json", login_timeout=patience, env=odbc.environment())
    assert result.exit_code == 0, result.stdout
    assert "dbdoctor" not in [group["application"] for group in json.loads(result.stdout)["groups"]]
    assert result.stderr == ""
    assert result.outlived_by == ()
    server.sessions.wait_for(0)


def test_a_late_refusal_is_the_answer(start_postgres: StartPostgres) -> None:
    """The examination had less time than the refusal took; what the login was told counts."""
    server = start_postgres(settings={"pre_auth_delay": "2"})
    result = leaks(server.dsn(password="not it"), "--json")
    assert result.exit_code == 3
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == ["wrong-password"]
    assert result.seconds < TIMEOUT + MORE


def test_a_late_refusal_of_sql_server_is_the_answer(driver: str, start_tds: StartTds) -> None:
    server = start_tds("2022")
    server.controls.at("login", Delay(TIMEOUT * 0.7))
    result = leaks(server.dsn(driver, PWD="hunter2"), "--json", env=odbc.environment())
    assert result.exit_code == 3
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == ["login-failed"]
    assert result.seconds < TIMEOUT + MORE


def test_a_quick_login_is_the_only_one(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    before = server.log.count("connection received")
    assert leaks(server.dsn(), "--for", "2s").exit_code == 0
    assert server.log.count("connection received") - before == 1


def test_interrupted_while_both_hang(driver: str, start_tds: StartTds) -> None:
    import signal

    server = start_tds()
    held = server.controls.at("login", Silence())

    def interrupt(running: Running) -> None:
        wait_until(lambda: held.hits >= 2, "the examination beside the login")
        running.send_signal(signal.SIGINT)

    result = run_dbdoctor(
        *("leaks", server.dsn(driver), "--no-config", "--login-timeout", "8s"),
        env=odbc.environment(),
        after_start=interrupt,
    )
    assert result.exit_code == 130
    assert result.outlived_by == ()
    assert "Traceback" not in result.stderr
