"""Names, addresses, silence, other services, and the browser: what fails before a SQL Server has said a word."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from tests.probe.sqlserver_named import NamedSqlServer, at, driver, named_sqlserver
from tests.servers import odbc
from tests.servers.cli import run_dbdoctor
from tests.servers.network import (
    NO_ROUTE_TO_HOST,
    SILENT_HOST,
    UNREACHABLE,
    black_hole,
    free_port_on_both,
    private_names,
    private_network,
    refused_port,
)
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import End, Say, Silence, SqlBrowser, TdsServer
from tests.servers.wire import FakeServer

__all__ = ["driver", "named_sqlserver"]

# A loopback address for each test that needs UDP 1434, which nothing can change; and not those of a worker beside this one.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_addresses = (f"127.{77 + _WORKER}.{third}.{fourth}" for third, fourth in itertools.product(range(256), range(1, 255)))


def test_name_not_found(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with private_names() as prefix:
        named_sqlserver(
            "name-not-found", at(driver, "no-such-host.example", 1433), prefix=prefix, what="name not found"
        )


def test_resolver_silent(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with private_names(resolver="silent") as prefix:
        answer = named_sqlserver(
            "resolver-silent", at(driver, "db.example", 1433), prefix=prefix, what="resolver silent"
        )
    assert [stage["name"] for stage in answer.object["stages"]] == ["resolve"]


def test_resolver_refusing(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with private_names(resolver="refusing") as prefix:
        dsn = at(driver, "db.example", 1433)
        named_sqlserver("resolver-failed", dsn, prefix=prefix, what="no name server listens")


def test_refused(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with refused_port() as port:
        answer = named_sqlserver("connection-refused", at(driver, "127.0.0.1", port), what="connection refused")
    assert answer.object["seconds"] < 0.5


def test_network_unreachable(driver: str, named_sqlserver: NamedSqlServer) -> None:
    named_sqlserver("host-unreachable", at(driver, UNREACHABLE, 1433), what="network unreachable")


def test_no_route_to_host(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with private_network() as prefix:
        dsn = at(driver, NO_ROUTE_TO_HOST, 1433)
        named_sqlserver("host-unreachable", dsn, prefix=prefix, what="no route to host")


def test_black_hole(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with private_network() as prefix:
        dsn = at(driver, SILENT_HOST, 1433)
        named_sqlserver("no-answer", dsn, prefix=prefix, what="black hole (packets dropped)")


def test_full_accept_queue(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with black_hole() as port:
        named_sqlserver("no-answer", at(driver, "127.0.0.1", port), what="accept queue full")


# --- what answers is not SQL Server, or says nothing


def test_accepted_then_silent(
    driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at("accepted", Silence())
    named_sqlserver("accepted-then-silent", server.dsn(driver), what="accepted, then silent")


def test_silent_after_prelogin(
    driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at("prelogin", Silence())
    named_sqlserver("accepted-then-silent", server.dsn(driver), what="PRELOGIN read, then silent")


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_prelogin_cut(
    driver: str, how: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at("prelogin", End(how))  # type: ignore[arg-type]
    what = {"fin": "closed at PRELOGIN", "rst": "reset at PRELOGIN"}[how]
    answer = named_sqlserver("closed-during-negotiation", server.dsn(driver), what=what)
    assert ("reset" in answer.finding("closed-during-negotiation")["why"]) is (how == "rst")


@pytest.mark.parametrize(
    ("service", "name"),
    [("http", "HTTP"), ("ssh", "SSH"), ("mysql", "MySQL"), ("smtp", "SMTP"), ("redis", "Redis")],
)
def test_another_service(
    driver: str, service: str, name: str, wire: Callable[..., FakeServer], named_sqlserver: NamedSqlServer
) -> None:
    dsn = at(driver, "127.0.0.1", wire(service).port)
    answer = named_sqlserver("wrong-service", dsn, what=f"{name} on the port", login_timeout=3)
    assert name in answer.finding("wrong-service")["title"]


def test_bytes_that_are_not_tds(
    driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at("accepted", Say(bytes.fromhex("fedcba9876543210"), then="fin"))
    named_sqlserver("not-tds-protocol", server.dsn(driver), what="random bytes on the port")


def test_tds_that_is_no_prelogin(
    driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at("prelogin", Say(bytes.fromhex("0401000c0000010000000000"), then="fin"))
    named_sqlserver("not-tds-protocol", server.dsn(driver), row=False)


# --- named instances


def test_instance_found(driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer) -> None:
    host = next(_addresses)
    server = start_tds(host=host)
    with SqlBrowser({"MSSQLSERVER": 1433, "Sales": server.port}, host=host, port=1434):
        answer = named_sqlserver(None, at(driver, host, None, instance="SALES"), exit_code=0, row=False)
    connect = next(stage for stage in answer.object["stages"] if stage["name"] == "connect")
    assert f"{host}:{server.port}" in connect["detail"]
    assert "Browser" in connect["detail"]
    assert len({login.program for login in server.logins}) == 1


def test_a_port_beside_the_instance_needs_no_browser(
    driver: str, start_tds: Callable[..., TdsServer], named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    dsn = server.dsn("microsoft", Server=f"127.0.0.1\\sales,{server.port}", Driver=odbc.braced(odbc.DRIVERS[driver]()))
    named_sqlserver(None, dsn, exit_code=0, row=False)


def test_browser_silent(driver: str, named_sqlserver: NamedSqlServer) -> None:
    host = next(_addresses)
    with SqlBrowser({}, host=host, port=1434, silent=True) as browser:
        dsn = at(driver, host, None, instance="sales")
        answer = named_sqlserver("browser-silent", dsn, what="SQL Server Browser silent")
        assert len(browser.asked) >= 2
    assert "1434" in answer.finding("browser-silent")["why"]


def test_browser_not_there(driver: str, named_sqlserver: NamedSqlServer) -> None:
    dsn = at(driver, next(_addresses), None, instance="sales")
    answer = named_sqlserver("browser-refused", dsn, what="SQL Server Browser not running")
    assert answer.object["seconds"] < 0.5


def test_instance_not_known(driver: str, named_sqlserver: NamedSqlServer) -> None:
    host = next(_addresses)
    with SqlBrowser({"SQLEXPRESS": 51433, "Sales": 51434}, host=host, port=1434):
        dsn = at(driver, host, None, instance="slaes")
        answer = named_sqlserver("instance-not-found", dsn, what="no such instance")
    assert "SQLEXPRESS, Sales" in answer.finding("instance-not-found")["why"]
    assert answer.object["seconds"] < 0.5


def test_instance_without_tcp(driver: str, named_sqlserver: NamedSqlServer) -> None:
    host = next(_addresses)
    text = b"ServerName;TESTS;InstanceName;Sales;IsClustered;No;Version;16.0.4175.1;np;\\\\TESTS\\pipe\\MSSQL$SALES\\sql\\query;;"
    raw = b"\x05" + len(text).to_bytes(2, "little") + text
    with SqlBrowser({}, host=host, port=1434, raw=raw):
        dsn = at(driver, host, None, instance="sales")
        named_sqlserver("instance-without-tcp", dsn, what="instance without TCP")


# --- several addresses


def test_a_listener_with_a_silent_address(driver: str, named_sqlserver: NamedSqlServer) -> None:
    port = free_port_on_both()
    names = {"listener.example": ("127.0.0.1", "127.0.0.2")}
    with TdsServer("2022", port=port) as server, black_hole("127.0.0.2", port), private_names(names) as prefix:
        dsn = at(driver, "listener.example", port)
        answer = named_sqlserver(None, dsn, exit_code=0, prefix=prefix, row=False, login_timeout=4)
        assert answer.finding("multi-subnet-failover-off")["severity"] == "warning"
        assert server.logins
        if driver == "microsoft":
            answer = named_sqlserver(
                None, dsn + "MultiSubnetFailover=yes;", exit_code=0, prefix=prefix, row=False, login_timeout=4
            )
            assert not answer.object["findings"]


def test_another_database_s_server(driver: str, postgres: PostgresServer, named_sqlserver: NamedSqlServer) -> None:
    """A real one: it closes at the first word of TDS."""
    dsn = at(driver, "127.0.0.1", postgres.port)
    result = run_dbdoctor("check", dsn, "--no-config", env=odbc.environment())
    assert "[wrong-service]" in result.stdout
    assert "PostgreSQL (or a pooler for it) answers on" in " ".join(result.stdout.split())
