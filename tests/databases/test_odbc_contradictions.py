"""What the drivers make of settings that contradict each other, which is what dbdoctor tells of it (databases/odbc)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dbdoctor.databases.odbc.contradictions import contradictions, login_name
from dbdoctor.targets.parse import parse_dsn
from tests.databases.test_odbc_keywords import Application, application
from tests.servers.tds import TdsServer

__all__ = ["application"]


@pytest.fixture(scope="module")
def server() -> Iterator[TdsServer]:
    with TdsServer() as server:
        yield server


def said(text: str) -> list[tuple[str, bool]]:
    environment = {"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent"}
    return [(warning.code, warning.fatal) for warning in contradictions(parse_dsn(text, environment=environment))]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_an_integrated_login_wins_over_user_and_password(
    driver: str, server: TdsServer, application: Application
) -> None:
    before = len(server.logins)
    dsn = server.dsn(driver, Trusted_Connection="yes")
    answer = application.connect(dsn)
    assert "error" in answer
    assert "18456" not in answer["error"]
    assert len(server.logins) == before, "the user and the password were right, and were not sent"
    assert said(dsn) == [("credentials-ignored", False)]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_ado_nets_word_for_it_is_passed_over(driver: str, server: TdsServer, application: Application) -> None:
    dsn = server.dsn(driver, **{"Integrated Security": "SSPI"})
    assert application.connect(dsn)["database"] == "shop"
    assert said(dsn) == []
    assert "Trusted_Connection" not in parse_dsn(dsn).parameters


@pytest.mark.parametrize(("driver", "names"), [("microsoft", [""]), ("freetds", [])])
def test_without_a_user(driver: str, names: list[str], server: TdsServer, application: Application) -> None:
    """Microsoft's driver logs in with an empty name; FreeTDS looks for a ticket."""
    before = len(server.logins)
    dsn = server.dsn(driver, UID=None, PWD=None)
    assert "error" in application.connect(dsn)
    assert [login.user for login in server.logins[before:]] == names
    assert said(dsn) == [("login-without-user", driver == "microsoft")]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Driver=x;Server=h;UID=u;PWD=p", []),
        ("Driver=x;Server=h;Trusted_Connection=yes", []),
        ("Driver=x;Server=h;Trusted_Connection=yes;UID=u", ["credentials-ignored"]),
        ("Driver=x;Server=h;Authentication=ActiveDirectoryMsi", []),
        ("Driver=x;Server=h;PWD=p", ["login-without-user"]),
        ("mssql+pyodbc://h/d?driver=x", []),
        ("mssql+pyodbc://u:p@h/d?driver=x&trusted_connection=yes", ["credentials-ignored"]),
        ("mssql+pymssql://h/d", ["login-without-user"]),
        ("Server=tcp:h;User ID=u;Password=p;Integrated Security=true", ["credentials-ignored"]),
        ("jdbc:sqlserver://h;integratedSecurity=true;user=u", ["credentials-ignored"]),
        ("jdbc:sqlserver://h;database=d", ["login-without-user"]),
        ("Driver=x;Server=h;UID=u;Encrypt=strict;TrustServerCertificate=yes", ["certificate-option-ignored"]),
        ("Driver=x;Server=h;UID=u;Encrypt=strict;ServerCertificate=f", []),
        ("Driver=x;Server=h;UID=u;ServerCertificate=f", ["certificate-option-ignored"]),
        ("Server=tcp:h;User ID=u;ServerCertificate=f", []),
        ("Driver=FreeTDS;Server=h;UID=u;Encryption=strict", []),
    ],
)
def test_in_every_dialect(text: str, codes: list[str]) -> None:
    assert [code for code, _ in said(text)] == codes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Driver=x;Server=h;UID=u;PWD=p", "u"),
        ("Driver=x;Server=h;UID=u;Trusted_Connection=yes", "(integrated)"),
        ("Driver=x;Server=h;Authentication=ActiveDirectoryMsi", "(Microsoft Entra)"),
        ("Driver=x;Server=h;PWD=p", "(no user)"),
    ],
)
def test_who_logs_in(text: str, name: str) -> None:
    assert login_name(parse_dsn(text)) == name


WAYS: list[tuple[str, Any]] = [
    ("np:localhost,{port}", None),
    ("lpc:localhost,{port}", None),
    (r"\\localhost\pipe\sql\query", None),
    ("tcp:localhost,{port}", "shop"),
]


@pytest.mark.parametrize(("form", "database"), WAYS)
def test_ways_that_only_windows_has(
    form: str, database: str | None, server: TdsServer, application: Application
) -> None:
    """Microsoft's driver asks nobody and says that the time is over."""
    before = server.accepted
    dsn = server.dsn("microsoft", Server=form.format(port=server.port))
    answer = application.connect(dsn)
    assert answer.get("database") == database
    if database is None:
        assert "Login timeout expired" in answer["error"]
        assert server.accepted == before
    codes = [warning.code for warning in parse_dsn(dsn).warnings]
    assert codes == ([] if database else ["server-not-over-tcp"])
