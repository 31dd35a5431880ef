"""Ending sessions on SQL Server: the right one, after its identity was checked, and what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.tds import ACCOUNTS, Account, ShownRequest, SqlError, TdsServer
from tests.servers.tds import profiles as rights
from tests.servers.tds.controls import Refuse
from tests.watch.looking_sqlserver import DRIVERS, PATIENCE, _drivers, find, source

odbc.load()

__all__ = ["_drivers"]

Start = Callable[..., TdsServer]
LOOKER = Account(rights=frozenset({rights.VIEW_SERVER_STATE, rights.VIEW_DATABASE_STATE, rights.SERVER_STATE_READER}))


def _client(server: TdsServer, driver: str) -> Any:
    """A session of an application, in a transaction that has written."""
    import pyodbc

    connection = pyodbc.connect(server.dsn(driver, APP="client"), timeout=60, autocommit=False)
    connection.execute("SELECT 1 AS one").fetchall()
    return connection


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_session_is_ended_and_no_other(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    import pyodbc

    with contextlib.closing(_client(server, driver)) as one, contextlib.closing(_client(server, driver)) as other:
        with source(server, driver) as opened:
            number = one.execute("SELECT @@SPID").fetchval()
            identity = find(opened.look(PATIENCE), number).identity
            (ended,) = opened.terminate([identity], PATIENCE)
            assert (ended.identity, ended.outcome) == (identity, "ended")
            assert number not in {session.id for session in opened.look(PATIENCE).sessions}
        with pytest.raises(pyodbc.Error):
            one.execute("SELECT 1")
        assert other.execute("SELECT 1").fetchval() == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_another_session_with_that_id_is_not_ended(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject(age=100)
    with source(server, driver) as opened:
        identity = find(opened.look(PATIENCE), number).identity
        server.inject(number, age=3)
        (spared,) = opened.terminate([identity], PATIENCE)
        assert (spared.outcome, spared.detail) == ("not-found", "another session has this id now")
        server.sessions.take_out(number)
        (gone,) = opened.terminate([identity], PATIENCE)
        assert (gone.outcome, gone.detail) == ("not-found", "")
        (hidden,) = opened.terminate([(number, None)], PATIENCE)
        assert hidden.outcome == "not-allowed"
    assert server.sessions.killed == []


def test_neither_our_own_session_nor_the_servers_are_ended(start_tds: Start) -> None:
    server = start_tds("2022")
    system = server.inject(is_user_process=False)
    with source(server) as opened:
        opened.look(PATIENCE)
        assert opened.own is not None
        for number in (opened.own, system):
            (kept,) = opened.terminate([(number, server.clock.utc().timestamp())], PATIENCE)
            assert kept.outcome == "not-found"
        opened.look(PATIENCE)
    assert server.sessions.killed == []


GRANTS = {
    "2019": "GRANT ALTER ANY CONNECTION TO [looker];",
    "2022": "GRANT ALTER ANY CONNECTION TO [looker];",
    "azure-sql-db-standard": "GRANT KILL DATABASE CONNECTION TO [looker];",
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("profile", GRANTS)
def test_who_may_not_end_sessions_is_told_the_right(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile, accounts={**ACCOUNTS, "looker": LOOKER})
    number = server.inject()
    with source(server, driver, UID="looker") as opened:
        (refused,) = opened.terminate([find(opened.look(PATIENCE), number).identity], PATIENCE)
    assert refused.outcome == "not-allowed"
    assert refused.detail.endswith(GRANTS[profile])
    assert server.sessions.killed == []


def test_one_that_goes_between_the_check_and_the_kill_is_not_found(start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject()
    with source(server) as opened:
        identity = find(opened.look(PATIENCE), number).identity
        server.controls.at("query", Refuse(SqlError(6106, number)), matching="KILL")
        (gone,) = opened.terminate([identity], PATIENCE)
    assert gone.outcome == "not-found"


def test_one_whose_work_is_rolled_back_is_still_there(start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject(age=100)
    with source(server) as opened:
        session = find(opened.look(PATIENCE), number)
        request = ShownRequest(
            server.clock.local(), status="rollback", command="KILLED/ROLLBACK", percent_complete=40.0
        )
        # KILL has begun to roll back, and the session stays for as long as that takes.
        login_time = next(one.login_time for one in server.sessions.all_shown() if one.session_id == number)
        server.inject(number, login_time=login_time, status="running", request=request)
        server.sessions.kill = lambda *_: None  # type: ignore[method-assign]
        (still,) = opened.terminate([session.identity], 0.5)
    assert still.outcome == "still-there"
    assert still.detail == "told to end; its work is being rolled back, 40 % done"
