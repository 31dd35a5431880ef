"""A SQL Server that answers: every way of writing where it is, every kind of it, what it costs, and what we leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.probe.sqlserver_named import NamedSqlServer, at, driver, named_sqlserver, speaks_no_postgresql
from tests.servers import odbc
from tests.servers.cli import run_dbdoctor
from tests.servers.network import has_ipv6
from tests.servers.tds import PASSWORD, PROFILES, TdsServer
from tests.servers.waiting import wait_until

__all__ = ["driver", "named_sqlserver"]

Start = Callable[..., TdsServer]
NAMES = {"microsoft": "Microsoft's ODBC driver 18.", "freetds": "FreeTDS "}


@pytest.fixture(scope="module")
def shared() -> Iterator[TdsServer]:
    with TdsServer("2022") as server:
        yield server


def test_stages_and_cost(shared: TdsServer, driver: str, named_sqlserver: NamedSqlServer) -> None:
    before = len(shared.logins)
    answer = named_sqlserver(None, shared.dsn(driver), "--samples=4", exit_code=0, login_timeout=5, row=False)
    assert [(stage["name"], stage["ok"]) for stage in answer.object["stages"]] == [
        ("connect", True),
        ("tls", True),
        ("login", True),
        ("query", True),
    ]
    login = answer.object["stages"][2]["detail"]
    assert f"through {NAMES[driver]}" in login
    assert answer.object["cost"]["samples"] == 4
    assert 0 < answer.object["cost"]["round_trip_median_seconds"] < answer.object["cost"]["login_worst_seconds"]
    assert len(shared.logins) == before + 4
    assert {login.program for login in shared.logins[before:]} == {"dbdoctor"}
    wait_until(lambda: not shared.sessions.live(), "the sessions to end")


def test_one_session_at_a_time(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(max_sessions=1)

    def samples() -> int:
        answer = named_sqlserver(None, server.dsn(driver), "--samples=5", exit_code=0, login_timeout=5, row=False)
        return int(answer.object["cost"]["samples"])

    # A second login is possible only when the first session has ended; a busy server may see that too late, now and then.
    assert any(samples() >= 2 for _ in range(8))


def test_text_is_for_people(shared: TdsServer, driver: str) -> None:
    result = run_dbdoctor("check", shared.dsn(driver), "--no-config", env=odbc.environment())
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "SQL Server 2022" in result.stdout
    assert "healthy: mssql://sa@127.0.0.1" in result.stdout
    assert PASSWORD not in result.stdout + result.stderr
    speaks_no_postgresql(result.stdout)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_kind_of_server(profile: str, driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    """Also those that lack most views: the answer gets narrower, and says so."""
    server = start_tds(profile)
    answer = named_sqlserver(None, server.dsn(driver), exit_code=0, login_timeout=8, row=False)
    said = answer.object["server"]
    assert said["product"]
    assert said["version"]
    if answer.object["slots"] is None:
        assert said["missing"], said


@pytest.mark.parametrize("profile", ["2016", "2022", "azure-sql-db-basic", "azure-sql-db-standard"])
def test_a_login_without_rights(profile: str, driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(profile)
    answer = named_sqlserver(None, server.dsn(driver, UID="reader"), exit_code=0, login_timeout=8, row=False)
    assert answer.object["server"]["missing"]
    assert any(missing["help"] for missing in answer.object["server"]["missing"])


@pytest.mark.parametrize("driver", ["microsoft"])
@pytest.mark.parametrize(
    "where",
    [
        "127.0.0.1,{port}",
        "tcp:127.0.0.1,{port}",
        "(local),{port}",
        ".,{port}",
        "localhost,{port}",
        "127.0.0.1\\any,{port}",
    ],
)
def test_ways_of_writing_the_server(
    where: str, shared: TdsServer, driver: str, named_sqlserver: NamedSqlServer
) -> None:
    dsn = shared.dsn(driver, Server=where.format(port=shared.port))
    answer = named_sqlserver(None, dsn, exit_code=0, row=False)
    assert not answer.object["findings"]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_ipv6(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(host="::1")
    answer = named_sqlserver(None, at(driver, "::1", server.port), exit_code=0, row=False)
    assert f"[::1]:{server.port}" in str(answer.object["stages"])


@pytest.mark.parametrize(
    "url",
    [
        "mssql+pyodbc://sa:{password}@127.0.0.1:{port}/shop?driver={driver}&Encrypt=no",
        "mssql+pyodbc:///?odbc_connect={odbc}",
        "jdbc:sqlserver://127.0.0.1:{port};databaseName=shop;user=sa;password={{{plain}}};encrypt=false",
        'Server=127.0.0.1,{port};Initial Catalog=shop;User ID=sa;Password="{plain}";Encrypt=False',
    ],
    ids=["sqlalchemy", "odbc_connect", "jdbc", "ado"],
)
def test_other_dialects(url: str, start_tds: Start) -> None:
    from urllib.parse import quote, quote_plus

    server = start_tds()
    text = url.format(
        password=quote(PASSWORD, safe=""),
        plain=PASSWORD,
        port=server.port,
        driver=quote_plus(str(odbc.microsoft())),
        odbc=quote_plus(server.dsn()),
    )
    result = run_dbdoctor("check", text, "--no-config", env=odbc.environment())
    assert result.exit_code == 0, result.stdout + result.stderr
    assert server.logins[-1].database == "shop"


def test_read_intent_is_said(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    named_sqlserver(None, server.dsn(driver, ApplicationIntent="ReadOnly"), exit_code=0, row=False)
    assert all(login.read_only for login in server.logins)


def test_without_a_driver_manager(start_tds: Start) -> None:
    """One clear error with the install line, after all that can be looked at without it; PostgreSQL is not affected."""
    server = start_tds()
    result = run_dbdoctor("check", server.dsn(), "--no-config", env=odbc.environment_without_manager())
    assert result.exit_code == 3
    text = " ".join(result.stdout.split())
    assert "[driver-missing]" in text
    assert "install" in text
    assert "Traceback" not in result.stderr
    assert "tls      ok" in result.stdout


def test_many_targets_at_once(shared: TdsServer, driver: str) -> None:
    result = run_dbdoctor("check", *[shared.dsn(driver)] * 6, "--no-config", "--samples=1", "--login-timeout=15s",
                          env=odbc.environment())  # fmt: skip
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "6 healthy" in result.stdout
    assert result.outlived_by == ()
