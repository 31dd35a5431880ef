"""A session through each ODBC driver, in its process: what it gives, how it ends, and that no deadline is overrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dbdoctor.databases.odbc.connection_string import connection_string
from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.databases.odbc.errors import OdbcError as Error
from dbdoctor.databases.odbc.errors import read_records
from dbdoctor.databases.odbc.session import OdbcCrashedError, OdbcError, OdbcSession, OdbcTimeoutError
from dbdoctor.model.secret import Secret
from dbdoctor.model.target import Endpoint, Product, Target
from tests.servers import odbc
from tests.servers.network import black_hole
from tests.servers.tds import PASSWORD, USER, Delay, End, TdsServer
from tests.servers.waiting import wait_until

# What the deadline may be overrun by, in seconds.
TOLERANCE = 0.3


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in odbc.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each of the two."""
    kind = str(request.param)
    return Driver(kind, str(odbc.DRIVERS[kind]()), kind)


@pytest.fixture
def server() -> Iterator[TdsServer]:
    """SQL Server 2022, of the test's own."""
    with TdsServer() as server:
        yield server


def target(port: int, password: str = PASSWORD, **parameters: str) -> Target:
    """The server at this port, without encryption."""
    return Target(
        Product.SQLSERVER,
        (Endpoint("127.0.0.1", port),),
        user=USER,
        password=Secret(password),
        database="shop",
        parameters={"Encrypt": "no", **parameters},
    )


@pytest.fixture
def opened(server: TdsServer, driver: Driver) -> Iterator[OdbcSession]:
    """A session."""
    with OdbcSession(target(server.port), driver=driver) as session:
        session.open(5)
        yield session


def gone(pid: int | None) -> bool:
    assert pid is not None
    return not psutil.pid_exists(pid)


# --- what it gives ------------------------------------------------------------------------------------------------


def test_a_session_says_who_it_is(server: TdsServer, opened: OdbcSession) -> None:
    (session,) = server.sessions.live()
    assert (session.login.program, session.login.user, session.login.database) == ("dbdoctor", USER, "shop")
    assert session.login.process_id == opened.pid != os.getpid()
    assert opened.driver.version
    assert 0 < opened.login_seconds < 5
    assert opened.local_address is not None
    assert opened.local_address[0] == "127.0.0.1"
    assert opened.query("SELECT client_tcp_port FROM sys.dm_exec_connections WHERE session_id = @@SPID", 5) == [
        [opened.local_address[1]]
    ]


def test_values_are_plain(opened: OdbcSession) -> None:
    assert opened.query(
        "SELECT 3, CAST(4000000000 AS BIGINT), CAST(1 AS BIT), CAST(1.5 AS FLOAT), CAST('12.50' AS DECIMAL(10,2)), "
        "CAST(7 AS DECIMAL(20,0)), N'ä€😀', CAST('2026-03-29 01:59:59.997' AS DATETIME), 0x00ff, NULL",
        5,
    ) == [[3, 4000000000, True, 1.5, 12.5, 7, "ä€😀", "2026-03-29T01:59:59.997000", "0x00ff", None]]


def test_the_last_result_set_counts(opened: OdbcSession) -> None:
    assert opened.query("SET LOCK_TIMEOUT 2000; SELECT 1; SELECT 2 AS b, 3 AS c", 5) == [[2, 3]]
    assert opened.query("SET LOCK_TIMEOUT 2000", 5) == []


def test_ours_runs_without_a_transaction(server: TdsServer, opened: OdbcSession) -> None:
    text = "SELECT open_transaction_count FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    assert opened.query(text, 5) == [[0]]


def test_text_that_is_no_text_is_read_all_the_same(server: TdsServer, opened: OdbcSession) -> None:
    server.inject(program_name="lone \ud800 surrogate")
    rows = opened.query("SELECT program_name FROM sys.dm_exec_sessions WHERE program_name LIKE 'lone%'", 5)
    ((name,),) = rows
    assert name.startswith("lone ")
    assert name.encode()  # it can be written
    assert opened.query("SELECT N'ä€😀'", 5) == [["ä€😀"]]


def test_many_rows_come_whole(server: TdsServer, opened: OdbcSession) -> None:
    for number in range(300):
        server.inject(program_name=f"p{number}", last_text="x" * 1500)
    rows = opened.query(
        "SELECT q.text FROM sys.dm_exec_connections AS c CROSS APPLY sys.dm_exec_sql_text(c.most_recent_sql_handle) AS q "
        "WHERE q.text LIKE 'xxx%'",
        10,
    )
    assert [len(row[0]) for row in rows] == [1500] * 300


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_refused_login_has_its_number(server: TdsServer, driver: Driver) -> None:
    session = OdbcSession(target(server.port, "hunter2hunter2"), driver=driver)
    pid = session.pid
    with pytest.raises(OdbcError) as caught:
        session.open(5)
    assert caught.value.native == 18456
    assert caught.value.message == "Login failed for user 'sa'."
    assert gone(pid)


def test_a_failed_query_has_its_number_and_the_session_goes_on(opened: OdbcSession) -> None:
    with pytest.raises(OdbcError) as caught:
        opened.query("SELECT nope FROM sys.dm_exec_sessions", 5)
    assert (caught.value.sqlstate, caught.value.native) == ("42S22", 207)
    assert opened.query("SELECT 1", 5) == [[1]]


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("fault", ["black hole", "silent", "late login"])
def test_the_login_keeps_its_deadline(
    driver: Driver, server: TdsServer, fault: str, seconds: float, request: pytest.FixtureRequest
) -> None:
    with black_hole() as hole, socket.create_server(("127.0.0.1", 0)) as silent:
        server.controls.at("login", Delay(30))
        port = {"black hole": hole, "silent": silent.getsockname()[1], "late login": server.port}[fault]
        session = OdbcSession(target(port), driver=driver)
        session.prepare()
        pid, started = session.pid, time.monotonic()
        with pytest.raises((OdbcTimeoutError, OdbcError)):
            session.open(seconds)
        assert seconds - TOLERANCE < time.monotonic() - started < seconds + TOLERANCE
    assert gone(pid)
    session.close()


def test_freetds_is_never_asked_for_a_protocol_in_which_it_hangs() -> None:
    text = connection_string(target(1), Driver("x", "/x.so", "freetds"))
    assert "TDS_Version={7.4};" in text


def test_a_query_keeps_its_deadline(opened: OdbcSession) -> None:
    started = time.monotonic()
    with pytest.raises(OdbcError) as caught:
        opened.query("WAITFOR DELAY '00:00:20'", 2)
    assert caught.value.sqlstate == "HYT00"
    assert time.monotonic() - started < 2
    assert opened.query("SELECT 1", 2) == [[1]]


def test_a_query_that_cannot_be_cancelled_keeps_it_too(server: TdsServer, opened: OdbcSession) -> None:
    server.controls.ignores_attention = True
    pid, started = opened.pid, time.monotonic()
    with pytest.raises(OdbcTimeoutError):
        opened.query("WAITFOR DELAY '00:00:20'", 1.2)
    assert time.monotonic() - started < 1.2 + TOLERANCE
    assert gone(pid)
    with pytest.raises(OdbcError):
        opened.query("SELECT 1", 1)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_lost_session_is_an_error(server: TdsServer, opened: OdbcSession, how: Any) -> None:
    server.controls.at("query", End(how))
    with pytest.raises(OdbcError):
        opened.query("SELECT 1", 3)


def test_ours_does_not_come_back_by_itself(server: TdsServer, driver: Driver) -> None:
    """ConnectRetryCount=0: a session that was lost must be seen to be lost."""
    server.controls.recovers_sessions = True
    with OdbcSession(target(server.port, ConnectRetryCount="3"), driver=driver) as session:
        session.open(5)
        server.controls.at("query", End("fin"))
        with pytest.raises(OdbcError):
            session.query("SELECT 1", 5)
        server.sessions.wait_for(0)
        with pytest.raises(OdbcError):
            session.query("SELECT 1", 5)


def test_a_driver_that_crashes_takes_its_own_process_only(opened: OdbcSession) -> None:
    assert opened.pid is not None
    os.kill(opened.pid, signal.SIGSEGV)
    with pytest.raises(OdbcCrashedError) as caught:
        opened.query("SELECT 1", 5)
    assert caught.value.signal == signal.SIGSEGV


def test_close_leaves_nothing(server: TdsServer, opened: OdbcSession) -> None:
    pid = opened.pid
    opened.close()
    assert gone(pid)
    server.sessions.wait_for(0)
    opened.close()


def test_close_ends_a_query_under_way(server: TdsServer, opened: OdbcSession) -> None:
    pid = opened.pid
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            opened.query("WAITFOR DELAY '00:00:20'", 30)
        except (OdbcError, OdbcCrashedError, OdbcTimeoutError, OSError, ValueError) as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: any(session.request for session in server.sessions.live()), "the query runs")
    opened.close()
    thread.join(5)
    assert not thread.is_alive()
    assert caught
    assert gone(pid)


def test_it_dies_with_us_even_in_a_hanging_login(driver: Driver) -> None:
    code = f"""
import os, sys
from dbdoctor.databases.odbc.driver import Driver
from dbdoctor.databases.odbc.session import OdbcSession
from dbdoctor.model.target import Endpoint, Product, Target
target = Target(Product.SQLSERVER, (Endpoint("127.0.0.1", int(sys.argv[1])),), user="u")
session = OdbcSession(target, driver=Driver{tuple(driver)!r})
print(session.pid, flush=True)
session.open(60)
"""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        parent = subprocess.Popen([sys.executable, "-c", code, port], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        accepted = silent.accept()[0]  # the login is under way, and nobody answers it
        parent.kill()
        parent.wait()
        parent.stdout.close()
        wait_until(lambda: gone(pid), "the driver's process ends")
        accepted.close()


# --- secrets ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_password_is_in_no_argument_and_no_environment(opened: OdbcSession) -> None:
    place = Path(f"/proc/{opened.pid}")
    for file in ("cmdline", "environ"):
        assert PASSWORD.encode() not in (place / file).read_bytes()
    assert all(PASSWORD not in str(link.readlink()) for link in (place / "fd").iterdir())


def test_the_password_is_in_no_error(server: TdsServer, driver: Driver) -> None:
    from tests.servers.tds import Refuse, SqlError

    server.controls.at("login", Refuse(SqlError(18456, f"no login with the password {PASSWORD}")))
    with pytest.raises(OdbcError) as caught:
        OdbcSession(target(server.port), driver=driver).open(5)
    assert PASSWORD not in repr(caught.value.records) + str(caught.value)
    assert "***" in str(caught.value)


def test_a_dump_of_the_wire_is_not_written(server: TdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TDSDUMP", str(tmp_path / "dump"))
    driver = Driver("FreeTDS", str(odbc.freetds()), "freetds")
    with OdbcSession(target(server.port), driver=driver) as session:
        session.open(5)
    assert not (tmp_path / "dump").exists()


def test_what_freetds_cannot_be_given_is_said_and_not_sent() -> None:
    with pytest.raises(DriverMissingError, match="`};`") as caught:
        connection_string(target(1, "pass};UID=root"), Driver("FreeTDS", "/x.so", "freetds"))
    assert "root" not in str(caught.value)


@pytest.mark.parametrize("password", ["a;b}c", "{}", "}}{", "x'\"y", " lead ", "ä€😀", "a=b;UID=root", "p%40"])
def test_every_password_arrives_as_it_is(driver: Driver, password: str) -> None:
    from tests.servers.tds import ACCOUNTS

    account = replace(ACCOUNTS[USER], password=password)
    with (
        TdsServer(accounts={USER: account}) as server,
        OdbcSession(target(server.port, password), driver=driver) as session,
    ):
        session.open(5)
        assert session.query("SELECT 1", 5) == [[1]]


# --- drivers that cannot be used ----------------------------------------------------------------------------------


def test_without_a_driver_manager_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH")
    for name, value in odbc.environment_without_manager().items():
        monkeypatch.setenv(name, value)
    session = OdbcSession(target(1), driver=driver)
    pid = session.pid
    with pytest.raises(DriverMissingError) as caught:
        session.open(5)
    assert "libodbc.so.2" in caught.value.what
    assert "install" in str(caught.value.help)
    assert gone(pid)


def test_a_driver_that_is_no_library_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "libmsodbcsql-18.9.so.1.1"
    broken.write_bytes(b"not a library")
    with pytest.raises(DriverMissingError) as caught:
        OdbcSession(target(1), driver=Driver("Broken", str(broken), "microsoft")).open(5)
    assert "`Broken`" in caught.value.what
    assert caught.value.cause


def test_a_driver_that_does_not_load_gives_way_to_the_next(
    server: TdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libmsodbcsql-18.9.so.1.1"
    broken.write_bytes(b"not a library")
    place = odbc.registry({"ODBC Driver 18 for SQL Server": broken, "FreeTDS": odbc.freetds()})
    monkeypatch.setenv("ODBCSYSINI", str(place))
    with OdbcSession(target(server.port)) as session:
        assert session.driver.path == str(broken)
        session.open(5)
        assert session.driver.path != str(broken)


# --- reading what pyodbc says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (
            (
                "[28000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed for user 'sa'. (18456) "
                "(SQLDriverConnect); [42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Cannot open (x) (4060)"
            ),
            [("28000", 18456, "Login failed for user 'sa'."), ("42000", 4060, "Cannot open (x)")],
        ),
        (
            "[01000] [Microsoft][ODBC][SQL Server]Changed database context (5701); [42000] [X]Real (911) (SQLDriverConnect)",
            [("42000", 911, "Real"), ("01000", 5701, "Changed database context")],
        ),
        ("[08001] [FreeTDS][SQL Server]two\nlines (-1) (SQLDriverConnect)", [("08001", -1, "two\nlines")]),
        ("The driver did not supply an error!", []),
        ("", []),
    ],
)
def test_records(text: str, records: list[tuple[str, int, str]]) -> None:
    assert [tuple(record) for record in read_records(text)] == records


def test_an_error_without_records_keeps_its_words() -> None:
    error = Error("HY000", "The driver did not supply an error!")
    assert (error.sqlstate, error.native, error.message) == ("HY000", None, "The driver did not supply an error!")
