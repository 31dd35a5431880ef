"""Every way in which SQL Server or Azure SQL refuses a login, named by its number through both drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.probe.sqlserver_named import NamedSqlServer, driver, named_sqlserver
from tests.servers.tds import Refuse, SqlError, TdsServer

__all__ = ["driver", "named_sqlserver"]


@pytest.fixture(scope="module")
def shared() -> Iterator[TdsServer]:
    with TdsServer("2022") as server:
        yield server


@pytest.fixture
def server(shared: TdsServer) -> Iterator[TdsServer]:
    yield shared
    shared.controls.clear()


def test_wrong_password(server: TdsServer, driver: str, named_sqlserver: NamedSqlServer) -> None:
    answer = named_sqlserver("login-failed", server.dsn(driver, PWD="not-it-7"), what="wrong password")
    finding = answer.finding("login-failed")
    assert finding["evidence"]["error_number"] == 18456
    assert "mixed mode" in finding["why"]
    assert "not-it-7" not in str(answer.object)


def test_no_ticket_for_integrated_authentication(server: TdsServer, named_sqlserver: NamedSqlServer) -> None:
    before = len(server.logins)
    dsn = server.dsn("microsoft", Trusted_Connection="yes")
    answer = named_sqlserver("kerberos-ticket-missing", dsn, what="no Kerberos ticket", row=False)
    assert "a user and a password in the DSN do not count" in answer.finding("kerberos-ticket-missing")["why"]
    assert len(server.logins) == before


def test_no_such_login(server: TdsServer, driver: str, named_sqlserver: NamedSqlServer) -> None:
    named_sqlserver("login-failed", server.dsn(driver, UID="nobody"), what="no such login")


def test_database_that_cannot_be_opened(server: TdsServer, driver: str, named_sqlserver: NamedSqlServer) -> None:
    """FreeTDS shows the last of two errors, 18456; the first is found all the same."""
    answer = named_sqlserver(
        "database-cannot-be-opened", server.dsn(driver, Database="no_such_database"), what="no such database"
    )
    finding = answer.finding("database-cannot-be-opened")
    assert finding["evidence"]["error_number"] == 4060
    assert "no_such_database" in finding["title"]


def test_a_wrong_password_is_tried_no_oftener_than_need_be(
    server: TdsServer, driver: str, named_sqlserver: NamedSqlServer
) -> None:
    """Each refused login counts for a lockout. FreeTDS alone needs a second one, and only where a database is named."""
    before = len(server.logins)
    named_sqlserver("login-failed", server.dsn(driver, PWD="not-it-7", Database=None), row=False)
    assert len(server.logins) == before + 1
    named_sqlserver("login-failed", server.dsn(driver, PWD="not-it-7"), row=False)
    assert len(server.logins) == before + (2 if driver == "microsoft" else 3)


REFUSALS = [
    (SqlError(911, "shop"), "database-not-found", "911: no such database"),
    (SqlError(916, "sa", "shop"), "no-connect-privilege", "916: no user in the database"),
    (SqlError(942, message="Database 'shop' cannot be opened because it is offline."), "database-not-accepting", "942: offline"),
    (SqlError(976, "shop"), "availability-group-not-readable", "976: secondary replica"),
    (SqlError(978, "shop"), "read-intent-required", "978: read intent only"),
    (SqlError(4064, message="Cannot open user default database. Login failed."), "default-database-cannot-be-opened",
     "4064: default database"),
    (SqlError(6005, message="SHUTDOWN is in progress.", severity=14), "server-shutting-down", "6005: shutting down"),
    (SqlError(10928, 2, 300), "database-connection-limit", "10928: sessions of the tier"),
    (SqlError(10928, 1, 30), "database-worker-limit", "10928: workers of the tier"),
    (SqlError(10929, 1, 30), "azure-too-busy", "10929: beyond the guaranteed minimum"),
    (SqlError(10936, message="Resource ID : 1. The request limit for the elastic pool is 200 and has been reached."),
     "elastic-pool-limit", "10936: elastic pool"),
    (SqlError(17142), "server-paused", "17142: paused"),
    (SqlError(17187), "server-starting", "17187: starting up"),
    (SqlError(17892, message="Logon failed for login 'sa' due to trigger execution.", severity=14), "login-trigger-refused",
     "17892: logon trigger"),
    (SqlError(18401, "sa"), "server-starting", "18401: script upgrade"),
    (SqlError(18452), "login-untrusted-domain", "18452: untrusted domain"),
    (SqlError(18461, "sa"), "server-single-user", "18461: single user mode"),
    (SqlError(18470, "sa"), "login-disabled", "18470: disabled"),
    (SqlError(18486, "sa"), "login-locked-out", "18486: locked out"),
    (SqlError(18487, "sa"), "password-expired", "18487: password expired"),
    (SqlError(18488, "sa"), "password-must-be-changed", "18488: password must be changed"),
    (SqlError(40197), "azure-reconfiguration", "40197: reconfiguration"),
    (SqlError(40501), "azure-throttled", "40501: busy"),
    (SqlError(40532, "shop-server"), "azure-server-unknown", "40532: no such server"),
    (SqlError(40613, "shop", "shop-server"), "azure-database-unavailable", "40613: database unavailable"),
    (SqlError(40615, "shop-server", "203.0.113.7"), "azure-firewall", "40615: firewall"),
    (SqlError(40914, message="Cannot open server 'shop-server' requested by the login. Client is not allowed to access the "
              "server."), "azure-network-denied", "40914: virtual network rules"),
    (SqlError(47073, message="Deny Public Network Access is set to Yes."), "azure-network-denied", "47073: no public access"),
    (SqlError(49918), "azure-not-enough-resources", "49918: no resources"),
    (SqlError(49919), "azure-too-many-operations", "49919: too many operations"),
    (SqlError(49920, "subscription"), "azure-too-many-operations", "49920: too many operations of the subscription"),
    (SqlError(233, message="No process is on the other end of the pipe.", severity=20), "closed-during-login",
     "233: no process at the other end"),
    (SqlError(50123, message="Not today."), "login-refused", "a number that is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "what"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_refused(
    server: TdsServer, driver: str, error: SqlError, code: str, what: str, named_sqlserver: NamedSqlServer
) -> None:
    server.controls.at("login", Refuse(error))
    answer = named_sqlserver(code, server.dsn(driver), what=what)
    evidence = answer.finding(code)["evidence"]
    assert evidence["error_number"] == error.number
    assert evidence["said"].split() == error.message.split()
    assert "?" not in answer.finding(code)["title"]


def test_the_firewall_s_finding_has_the_address_to_allow(
    server: TdsServer, driver: str, named_sqlserver: NamedSqlServer
) -> None:
    server.controls.at("login", Refuse(SqlError(40615, "shop-server", "203.0.113.7")))
    finding = named_sqlserver("azure-firewall", server.dsn(driver), row=False).finding("azure-firewall")
    assert "203.0.113.7" in finding["title"]
    assert "N'dbdoctor-found', '203.0.113.7', '203.0.113.7'" in finding["command"]
    assert finding["evidence"]["client_address"] == "203.0.113.7"


@pytest.mark.parametrize("words", ["IP address 'x'; DROP' is", "IP address '1.2.3.4\x1b[31m'"])
def test_a_hostile_address_is_not_pasted(
    server: TdsServer, driver: str, words: str, named_sqlserver: NamedSqlServer
) -> None:
    message = f"Cannot open server 'shop-server' requested by the login. Client with {words} is not allowed."
    server.controls.at("login", Refuse(SqlError(40615, message=message)))
    finding = named_sqlserver("azure-firewall", server.dsn(driver), row=False).finding("azure-firewall")
    assert "DROP" not in finding["command"]
    assert "\x1b" not in finding["command"]


def test_all_user_connections_taken(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with TdsServer("2022", max_sessions=0) as server:
        named_sqlserver("too-many-clients", server.dsn(driver), what="17809: all user connections taken")


def test_all_sessions_of_the_tier_taken(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with TdsServer("azure-sql-db-basic", max_sessions=0) as server:
        answer = named_sqlserver("database-connection-limit", server.dsn(driver), row=False)
        assert answer.finding("database-connection-limit")["evidence"]["limit"] == 0
