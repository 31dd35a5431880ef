"""Each kind of server that the tests' server pretends to be: versions, what the views show, and to whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.tds import PROFILES, Account, ShownRequest, TdsServer
from tests.servers.tds import profiles as rights
from tests.servers.tds.shown import NEVER
from tests.servers.waiting import wait_until

odbc.load()

import pyodbc  # noqa: E402

Start = Callable[..., TdsServer]
SESSIONS = (Path(__file__).parent / "sessions_query.sql").read_text()
WITHOUT_VIEWS = {"babelfish-like": "sys.dm_exec_requests", "synapse-like": "sys.dm_exec_connections"}


def rows(server: TdsServer, query: str, *parameters: Any, driver: str = "microsoft", **keywords: Any) -> list[Any]:
    """What a query gives."""
    connection = pyodbc.connect(server.dsn(driver, **keywords), timeout=60, autocommit=True)
    try:
        return list(connection.execute(query, *parameters).fetchall())
    finally:
        connection.close()


def refusal(server: TdsServer, query: str, **keywords: Any) -> str:
    """The words of a query that fails."""
    with pytest.raises(pyodbc.Error) as caught:
        rows(server, query, **keywords)
    return str(caught.value.args[1])


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_whole_query_of_the_sessions(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    if profile in WITHOUT_VIEWS:
        assert f"Invalid object name '{WITHOUT_VIEWS[profile]}'. (208)" in refusal(server, SESSIONS, driver=driver)
        return
    transaction = server.transaction(age=100, log_records=3)
    leaking = server.inject(
        idle=90,
        age=200,
        program_name="leaky",
        last_text="UPDATE orders SET paid = 1",
        open_transaction_count=1,
        transactions=(transaction,),
    )
    request = ShownRequest(
        server.clock.local(), status="suspended", command="SELECT", wait_type="LCK_M_S", blocked_by=leaking
    )
    waiting = server.inject(status="running", request=request, program_name="waits")
    found = {row.session_id: row for row in rows(server, SESSIONS, driver=driver)}
    assert set(found) == {leaking, waiting}
    first = found[leaking]
    assert (first.session_status, first.program_name, first.blocked_sessions) == ("sleeping", "leaky", 1)
    assert (first.open_transaction_count, first.log_records, first.is_implicit) == (1, 3, 0)
    assert first.last_sql == "UPDATE orders SET paid = 1"
    assert 89 < (first.server_now - first.last_request_end_time).total_seconds() < 92
    assert (found[waiting].blocking_session_id, found[waiting].wait_type) == (leaking, "LCK_M_S")


@pytest.mark.parametrize("profile", PROFILES)
def test_versions_and_editions(profile: str, start_tds: Start) -> None:
    query = (
        "SELECT CAST(SERVERPROPERTY('EngineEdition') AS INT), CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)), "
        "CAST(SERVERPROPERTY('Edition') AS NVARCHAR(128)), @@VERSION"
    )
    server = start_tds(profile)
    expected = server.profile
    assert tuple(rows(server, query)[0]) == (
        expected.engine_edition,
        expected.version,
        expected.edition,
        expected.banner,
    )


def test_columns_differ_by_version(start_tds: Start) -> None:
    assert "Invalid column name 'page_server_reads'. (207)" in refusal(
        start_tds("2016"), "SELECT page_server_reads FROM sys.dm_exec_sessions"
    )
    assert rows(start_tds("2019"), "SELECT page_server_reads FROM sys.dm_exec_sessions")
    query = "SELECT COL_LENGTH('sys.dm_exec_sessions', 'contained_availability_group_id')"
    assert [rows(start_tds(name), query)[0][0] is not None for name in ("2022", "2025")] == [False, True]


@pytest.mark.parametrize(
    ("profile", "view", "words"),
    [
        ("2016", "dm_exec_connections", "VIEW SERVER STATE permission was denied on object 'server'"),
        ("2019", "dm_tran_active_transactions", "VIEW SERVER STATE permission was denied on object 'server'"),
        ("2022", "dm_exec_connections", "VIEW SERVER PERFORMANCE STATE permission was denied on object 'server'"),
        ("azure-sql-db-standard", "dm_exec_connections", "VIEW DATABASE STATE permission denied in database 'shop'"),
        ("azure-sql-db-basic", "dm_os_sys_info", "VIEW SERVER STATE permission was denied"),
    ],
)
def test_a_login_without_rights(profile: str, view: str, words: str, start_tds: Start) -> None:
    server = start_tds(profile)
    server.inject()
    assert words in refusal(server, f"SELECT * FROM sys.{view}", UID="reader")
    # Here nothing is said, and only the own session is seen.
    assert len(rows(server, "SELECT session_id FROM sys.dm_exec_sessions", UID="reader")) == 1
    # The injected one, and this; the reader's may take a moment to end.
    shown = "SELECT session_id FROM sys.dm_exec_sessions"
    wait_until(lambda: len(rows(server, shown)) == 2, "the reader's end")


def test_rights_can_be_asked_for(start_tds: Start) -> None:
    query = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), "
    query += "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE')"
    assert tuple(rows(start_tds("2019"), query)[0]) == (1, None)
    newer = start_tds("2022", accounts={"sa": Account(rights=frozenset({rights.VIEW_SERVER_PERFORMANCE_STATE}))})
    assert tuple(rows(newer, query)[0]) == (0, 1)
    names = rows(newer, "SELECT permission_name FROM sys.fn_my_permissions(NULL, 'SERVER')")
    assert [row[0] for row in names] == ["VIEW SERVER PERFORMANCE STATE"]
    assert rows(newer, "SELECT 1 FROM sys.dm_exec_connections")


def test_azure_shows_one_database_and_its_limits(start_tds: Start) -> None:
    server = start_tds("azure-sql-db-basic", databases=("master", "shop", "other"))
    here, there = server.inject(database_id=2), server.inject(database_id=3)
    found = {row[0] for row in rows(server, "SELECT session_id FROM sys.dm_exec_sessions", Database="shop")}
    assert here in found
    assert there not in found
    query = "SELECT max_sessions, primary_group_max_workers, dtu_limit FROM sys.dm_user_db_resource_governance"
    assert tuple(rows(server, query)[0]) == (300, 30, 5)
    query = "SELECT TOP (1) max_session_percent FROM sys.dm_db_resource_stats ORDER BY end_time DESC"
    assert 0 < float(rows(server, query)[0][0]) < 2
    assert "(208)" in refusal(start_tds("2022"), "SELECT * FROM sys.dm_user_db_resource_governance")
    assert "(40508)" in refusal(server, "USE master")


def test_limits_of_a_server(start_tds: Start) -> None:
    server = start_tds("2022", max_sessions=1)
    server.facts.configuration["user connections"] = 7
    query = "SELECT CAST(value_in_use AS INT) FROM sys.configurations WHERE name = 'User Connections'"
    assert rows(server, query)[0][0] == 7
    query = "SELECT max_workers_count, sqlserver_start_time FROM sys.dm_os_sys_info"
    workers, started = rows(server, query)[0]
    assert workers == 512
    assert server.clock.local() - started > dt.timedelta(days=2)
    with pytest.raises(pyodbc.Error, match="17809"):
        pyodbc.connect(server.dsn(), timeout=60), pyodbc.connect(server.dsn(), timeout=60)


def test_a_variant_is_handed_out_as_such(start_tds: Start) -> None:
    server = start_tds()
    assert rows(server, "SELECT SERVERPROPERTY('ServerName')")[0][0] == "TESTS"
    # Hence CAST: a number in it cannot be fetched with the one driver, and nothing at all with the other.
    for query in ("SELECT SERVERPROPERTY('EngineEdition')", "SELECT value_in_use FROM sys.configurations"):
        with pytest.raises(pyodbc.Error, match="HY106"):
            rows(server, query)
    with pytest.raises(pyodbc.Error, match="HY091"):
        rows(server, "SELECT SERVERPROPERTY('ServerName')", driver="freetds")


def test_local_times_follow_the_servers_clock(start_tds: Start) -> None:
    server = start_tds(offset=dt.timedelta(hours=2))
    query = (
        "SELECT DATEDIFF(MINUTE, GETUTCDATE(), GETDATE()), DATEPART(TZOFFSET, SYSDATETIMEOFFSET()), "
        "DATEDIFF(MINUTE, SYSUTCDATETIME(), SYSDATETIME())"
    )
    assert tuple(rows(server, query)[0]) == (120, 120, 120)
    number = server.inject(idle=10)
    server.clock.offset = dt.timedelta(hours=1)
    age = "SELECT DATEDIFF(SECOND, last_request_end_time, GETDATE()) FROM sys.dm_exec_sessions WHERE session_id = ?"
    # The hour is set back, and what was stored stays.
    assert -3600 < rows(server, age, number)[0][0] < -3580


def test_a_login_that_is_not_complete_has_no_time(start_tds: Start) -> None:
    server = start_tds()
    number = server.inject(login_time=NEVER, status="dormant", last_request_end=None)
    query = "SELECT login_time, last_request_end_time FROM sys.dm_exec_sessions WHERE session_id = ?"
    assert tuple(rows(server, query, number)[0]) == (NEVER, None)
    assert "(535)" in refusal(server, "SELECT DATEDIFF(SECOND, login_time, GETDATE()) FROM sys.dm_exec_sessions")
    assert rows(server, "SELECT DATEDIFF_BIG(SECOND, login_time, GETDATE()) FROM sys.dm_exec_sessions")


def test_mars_has_a_connection_for_each_logical_session(start_tds: Start) -> None:
    server = start_tds()
    number = server.inject(mars_sessions=2)
    query = "SELECT parent_connection_id, net_transport FROM sys.dm_exec_connections WHERE session_id = ?"
    found = rows(server, query, number)
    assert sorted(row.net_transport for row in found) == ["Session", "Session", "TCP"]
    assert sum(row.parent_connection_id is None for row in found) == 1


def test_times_have_sql_servers_grain(start_tds: Start) -> None:
    server = start_tds()
    for _ in range(30):
        server.inject()
    found = rows(server, "SELECT login_time FROM sys.dm_exec_sessions")
    assert {row.login_time.microsecond // 1000 % 10 for row in found} <= {0, 3, 7}
