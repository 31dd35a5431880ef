"""Trials on SQL Server beside the truth table: what is told to the driver, TLS, rights that are missing, a missing driver."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dbdoctor.databases.odbc.driver import Driver
from dbdoctor.databases.sqlserver_trials import Ours, end_question, look_question
from dbdoctor.faults.tds_messages import ClientMessages, error_reply
from dbdoctor.model.trial import Ghost, Outcome, PoolPlan
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.tds.wire import packet, read_header
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.observer_sqlserver import SqlServerObserver
from dbdoctor.trials.targets import address_of, connect_of
from tests.servers import odbc
from tests.servers.certificates import Certificates
from tests.servers.tds import ACCOUNTS, Account, SqlBrowser, TdsServer
from tests.servers.tds import profiles as rights
from tests.servers.tds.browser import PORT
from tests.servers.waiting import wait_until
from tests.trials.routing import routing_server
from tests.trials.simulating_sqlserver import Simulated

odbc.load()

Start = Callable[..., TdsServer]
MICROSOFT, FREETDS = Driver("18", "/x.so", "microsoft"), Driver("FreeTDS", "/y.so", "freetds")
PRE_PING = PoolPlan("pre-ping", "", pool_pre_ping=True)
BARE = PoolPlan("bare", "")
OURS = Ours(Ghost(51, "sleeping", False, 0), "dbdoctor-1-00001", 1000)
SEES_ALL = Account(rights=frozenset({rights.VIEW_SERVER_STATE, rights.VIEW_SERVER_PERFORMANCE_STATE}))


@pytest.fixture(autouse=True)
def _drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in odbc.environment().items():
        monkeypatch.setenv(name, value)


def keywords(dsn: str, driver: Driver = MICROSOFT) -> dict[str, Any]:
    told = connect_of(parse_dsn(dsn, environment={}), [], driver)
    json.dumps(told)  # it crosses between processes
    assert told["kind"] == driver.kind
    return dict(told["keywords"])


# --- what the driver is told


def test_the_certificate_is_still_the_servers() -> None:
    told = keywords("Driver={ODBC Driver 18 for SQL Server};Server=db.example.org,1433;UID=app;PWD=x;Encrypt=yes")
    assert told["HostnameInCertificate"] == "db.example.org"
    assert "Server" not in told
    named = keywords("Driver={ODBC Driver 18 for SQL Server};Server=db1;UID=app;PWD=x;HostNameInCertificate=db2")
    assert named["HostnameInCertificate"] == "db2"


def test_the_applications_reconnecting_is_its_own() -> None:
    plain = "Driver={ODBC Driver 18 for SQL Server};Server=db1;UID=app;PWD=x;"
    assert "ConnectRetryCount" not in keywords(plain)
    told = keywords(plain + "ConnectRetryCount=3;KeepAlive=10;MultiSubnetFailover=yes")
    assert (told["ConnectRetryCount"], told["KeepAlive"]) == ("3", "10")
    assert "MultiSubnetFailover" not in told


@pytest.mark.parametrize("driver", [MICROSOFT, FREETDS], ids=lambda driver: driver.kind)
def test_azures_gateway_is_told_which_server_is_meant(driver: Driver) -> None:
    there = "Server=shop.database.windows.net,1433;Database=d;PWD=x;Encrypt=yes;"
    assert keywords(f"Driver={{ODBC Driver 18 for SQL Server}};{there}UID=app", driver)["UID"] == "app@shop"
    assert keywords(f"Driver={{ODBC Driver 18 for SQL Server}};{there}UID=app@shop", driver)["UID"] == "app@shop"


def test_a_kerberos_login_asks_for_the_server_not_for_the_relay() -> None:
    told = keywords("Driver={ODBC Driver 18 for SQL Server};Server=db1,1444;Trusted_Connection=yes")
    assert told["ServerSPN"] == "MSSQLSvc/db1:1444"


def test_the_login_timeout_is_the_applications() -> None:
    target = parse_dsn("mssql+pymssql://app:x@db1/d?login_timeout=7", environment={})
    assert connect_of(target, [], MICROSOFT)["login_timeout"] == 7
    target = parse_dsn("mssql+pymssql://app:x@db1/d", environment={})
    assert connect_of(target, [], MICROSOFT)["login_timeout"] is None


@pytest.mark.parametrize("question", [look_question, lambda name: end_question(name, [OURS])])
def test_a_name_that_is_none_of_ours_is_asked_about_by_nobody(question: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="letters"):
        question("x' OR 1=1 --")
    assert question("dbdoctor-1-00001")


@pytest.mark.xdist_group("udp-1434")
def test_a_named_instance_is_found() -> None:
    with TdsServer("2022") as server, SqlBrowser({"EXPRESS": server.port}, port=PORT):
        target = parse_dsn(server.dsn("microsoft", Server="127.0.0.1\\EXPRESS"), environment={})
        address = address_of(target, Deadline.after(5.0))
    assert address is not None
    assert (address.ip, address.endpoint.port, address.sockaddr) == (
        "127.0.0.1",
        server.port,
        ("127.0.0.1", server.port),
    )
    assert address_of(target, Deadline.after(0.3)) is None


# --- TLS


def test_a_session_in_tls_is_tried_with_its_certificate_checked(
    start_tds: Start, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    server = start_tds("2022", encryption="required", tls=certificates.server)
    trials = [("closed", PRE_PING), ("session-error-40613", BARE)]
    place = f"localhost,{server.port}"
    simulated = Simulated(server, "microsoft", trials, 9.0, idle=1.0, Server=place, Encrypt="yes")
    assert simulated.cases["closed", "pre-ping"].outcome is Outcome.SURVIVES
    refused = simulated.cases["session-error-40613", "bare"]
    assert not refused.testable
    assert "the session is encrypted" in refused.note


# --- another address


def test_a_server_that_sends_its_clients_elsewhere_is_not_judged() -> None:
    with routing_server() as server:
        simulated = Simulated(server, "microsoft", [("closed", BARE), ("closed", PRE_PING)], 9.0)
        for case in simulated.cases.values():
            assert not case.testable
            assert "past the faults" in case.note


# --- a network of our own, and the end of a run


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_packets_are_lost_in_a_network_of_our_own(driver: str, start_tds: Start) -> None:
    keepalive = PoolPlan("keepalive", "", connect_args={"KeepAlive": "1", "KeepAliveInterval": "1"})
    trials = [("silent-drop", BARE), ("silent-drop", keepalive)]
    simulated = Simulated(start_tds("2022"), driver, trials, 2.0, private=True)
    assert simulated.cases["silent-drop", "bare"].outcome is Outcome.HANGS
    assert simulated.cases["silent-drop", "keepalive"].outcome is Outcome.SURVIVES


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_run_that_is_ended_leaves_no_session(number: signal.Signals, driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    words = ["simulate-timeout", server.dsn(driver), "--yes", "--drop", "silent-drop,closed", "--workers", "6"]
    with subprocess.Popen(
        [sys.executable, "-m", "dbdoctor", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as command:
        wait_until(lambda: len(server.sessions.live()) > 3, "the sessions of trials", 30.0)
        command.send_signal(number)
        command.wait(30)
    server.sessions.wait_for(0)


# --- rights


def test_without_the_right_to_see_sessions_nobody_says_what_is_left(start_tds: Start) -> None:
    server = start_tds("2022")
    simulated = Simulated(server, "microsoft", [("closed", BARE), ("killed", BARE)], 9.0, idle=1.0, UID="reader")
    closed = simulated.cases["closed", "bare"]
    assert (closed.outcome, closed.ghosts) == (Outcome.ONE_ERROR, None)
    killed = simulated.cases["killed", "bare"]
    assert not killed.testable
    assert "ALTER ANY CONNECTION" in killed.note
    server.sessions.wait_for(0)


def test_who_sees_sessions_and_may_not_end_them_says_so(start_tds: Start) -> None:
    server = start_tds("2022", accounts={**ACCOUNTS, "looker": SEES_ALL})
    simulated = Simulated(server, "microsoft", [("killed", BARE)], 9.0, idle=1.0, UID="looker")
    assert not simulated.cases["killed", "bare"].testable


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_the_observer_ends_our_sessions_and_no_others(driver: str, start_tds: Start) -> None:
    import pyodbc

    server = start_tds("2022", accounts={**ACCOUNTS, "other": Account()})
    names = ("dbdoctor-1-00001", "dbdoctor-1-00002", "dbdoctor-10-00001", "shop")
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(contextlib.closing(pyodbc.connect(server.dsn(driver, APP=name), timeout=60)))
            for name in names
        ]
        foreign = pyodbc.connect(server.dsn(driver, APP=names[0], UID="other"), timeout=60)
        stack.enter_context(contextlib.closing(foreign))
        target = parse_dsn(server.dsn(driver), environment={})
        with contextlib.closing(SqlServerObserver(target, 15.0)) as observer:
            first = observer.look(names[0])
            assert first is not None
            assert [ghost.session for ghost in first] == [opened[0].execute("SELECT @@SPID").fetchval()]
            assert observer.end("dbdoctor-1-")
            server.sessions.wait_for(4)
            assert observer.look(names[0]) == []
            assert observer.end("dbdoctor-1-")
        for connection in (*opened[2:], foreign):
            assert connection.execute("SELECT 1").fetchval() == 1


# --- the driver manager


def test_a_missing_driver_manager_is_named() -> None:
    code = """
import json, sys
from dbdoctor.databases.odbc.driver import DriverMissingError
from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.child_sqlserver import for_sqlserver
from dbdoctor.trials.orders import StageOrder, TrialOrder, Where
connect = {"kind": "microsoft", "keywords": {"Driver": "/x.so"}, "login_timeout": None}
whole = StageOrder((), "mssql", connect, Where(2, ("127.0.0.1", 1)), "p-", 1, False, 5.0)
try:
    for_sqlserver(whole, TrialOrder(0, "closed", 2.0, PoolPlan("a", ""), 5.0), 1)
except DriverMissingError as error:
    print(error)
"""
    environment = {**os.environ, **odbc.environment_without_manager()}
    if not odbc.environment_without_manager():
        environment.pop("LD_LIBRARY_PATH", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "libodbc.so.2 is not on this machine" in done.stdout


# --- messages in a session that is not encrypted


def test_messages_are_put_together_from_their_pieces() -> None:
    batch = packet(1, b"\0" * 30)
    part = bytearray(packet(3, b"abc"))
    part[1] = 0  # more follows
    call = bytes(part) + packet(3, b"def")
    whole = batch + call + packet(14, b"x")
    for size in (1, 3, 17, len(whole)):
        messages = ClientMessages()
        found = [one for at in range(0, len(whole), size) for one in messages.feed(whole[at : at + size])]
        assert [one.kind for one in found] == [1, 3, 14]
        assert b"".join(one.data for one in found) == whole


def test_what_is_not_tds_is_passed_on_at_once() -> None:
    assert [tuple(one) for one in ClientMessages().feed(b"\x17\x03\x03\0\x05hello")] == [
        (0, b"\x17\x03\x03\0\x05hello")
    ]


def test_a_header_that_cannot_be_does_not_go_round_for_ever() -> None:
    assert list(ClientMessages().feed(b"\x01\0\0\0" + bytes(4))) == []
    kind, ends, length = read_header(error_reply(40613, "no")[:8])
    assert (kind, ends, length + 8) == (4, True, len(error_reply(40613, "no")))
