"""Encryption and certificates with SQL Server, judged as Microsoft's driver judges them; and what FreeTDS makes of the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.probe.sqlserver_named import NamedSqlServer, at, driver, named_sqlserver
from tests.servers import odbc
from tests.servers.certificates import certificates
from tests.servers.cli import run_dbdoctor
from tests.servers.tds import Say, TdsServer

__all__ = ["driver", "named_sqlserver"]

Start = Callable[..., TdsServer]


def trusting() -> dict[str, str]:
    """The tests' authority is one of the system's."""
    return {"SSL_CERT_FILE": str(certificates().authority)}


def encrypted(driver: str, server: TdsServer, host: str = "localhost", **keywords: Any) -> str:
    """A connection string that asks for encryption, in the driver's own words."""
    own = {"Encrypt": "yes"} if driver == "microsoft" else {"Encryption": "require"}
    return at(driver, host, server.port, **{**own, **keywords})


def tls_stage(answer: Any) -> str:
    return str(next(stage["detail"] for stage in answer.object["stages"] if stage["name"] == "tls"))


def test_trusted(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    answer = named_sqlserver(None, encrypted(driver, server), env=trusting(), exit_code=0, row=False)
    said = tls_stage(answer)
    assert said.startswith("TLSv1.2, ")
    assert ("certificate trusted, for localhost, until " in said) is (driver == "microsoft")
    assert ("certificate not verified" in said) is (driver == "freetds")
    assert "TLS" in answer.object["server"]["tls"]


def test_only_the_login_is_encrypted(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(tls=certificates().foreign)
    keywords = {"Encrypt": "no"} if driver == "microsoft" else {"Encryption": "request"}
    answer = named_sqlserver(None, at(driver, "localhost", server.port, **keywords), exit_code=0, row=False)
    assert "for the login only, certificate not verified" in tls_stage(answer)
    assert answer.object["server"]["tls"] is None


def test_not_offered(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(encryption="not-supported")
    what = "encryption required by the client, not supported"
    answer = named_sqlserver("tls-not-offered", encrypted(driver, server), what=what)
    word = {"microsoft": "Encrypt=yes", "freetds": "Encryption=require"}[driver]
    assert word in answer.finding("tls-not-offered")["title"]


BAD = [
    ("expired", "certificate-expired", "expired certificate"),
    ("not_yet_valid", "certificate-not-yet-valid", "certificate not valid yet"),
    ("foreign", "certificate-untrusted", "certificate of another authority"),
    ("wrong_name", "certificate-wrong-name", "certificate for another name"),
]


@pytest.mark.parametrize("driver", ["microsoft"])
@pytest.mark.parametrize(("kind", "code", "what"), BAD)
@pytest.mark.parametrize("encryption", ["off", "required"])
def test_bad_certificate(
    driver: str, kind: str, code: str, what: str, encryption: str, start_tds: Start, named_sqlserver: NamedSqlServer
) -> None:
    """Also with Encrypt=no, when the server forces encryption: then the driver checks, too."""
    server = start_tds(tls=getattr(certificates(), kind), encryption=encryption)
    keywords = {"Encrypt": "no"} if encryption == "required" else {}
    dsn = encrypted(driver, server, **keywords)
    answer = named_sqlserver(code, dsn, env=trusting(), what=what, row=encryption == "off")
    finding = answer.finding(code)
    assert "not_after" in finding["evidence"]
    assert any("the driver says: SSL Provider" in row for row in finding["rows"]) if "rows" in finding else True
    if code == "certificate-wrong-name":
        assert "db.example.org, not for localhost" in finding["title"]
        assert finding["command"] == "HostNameInCertificate=db.example.org"
        named_sqlserver(None, dsn + finding["command"] + ";", env=trusting(), exit_code=0, row=False)
    named_sqlserver(None, dsn + "TrustServerCertificate=yes;", env=trusting(), exit_code=0, row=False)


@pytest.mark.parametrize("driver", ["freetds"])
@pytest.mark.parametrize("kind", [row[0] for row in BAD])
def test_freetds_believes_any_certificate(
    driver: str, kind: str, start_tds: Start, named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds(tls=getattr(certificates(), kind))
    named_sqlserver(None, encrypted(driver, server), exit_code=0, row=False)


@pytest.mark.parametrize("driver", ["microsoft"])
@pytest.mark.parametrize(
    ("host", "keywords", "code"),
    [
        (
            "127.0.0.1",
            {},
            "certificate-wrong-name",
        ),  # the certificate has the address, and Microsoft's driver will not look
        ("127.0.0.1", {"HostNameInCertificate": "localhost"}, None),
        ("localhost", {"HostNameInCertificate": "LOCALHOST"}, None),
        ("localhost", {"HostNameInCertificate": "other.example"}, None),  # the server's own name counts as well
    ],
)
def test_names_are_compared_as_by_the_driver(
    driver: str,
    host: str,
    keywords: dict[str, str],
    code: str | None,
    start_tds: Start,
    named_sqlserver: NamedSqlServer,
) -> None:
    server = start_tds()
    dsn = encrypted(driver, server, host, **keywords)
    answer = named_sqlserver(code, dsn, env=trusting(), exit_code=3 if code else 0, row=False)
    # Ours and the driver's own handshake came to the same.
    assert next(stage["ok"] for stage in answer.object["stages"] if stage["name"] == "tls") is (code is None)


@pytest.mark.parametrize("driver", ["microsoft"])
def test_chain_in_between(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds(tls=certificates().chained)
    named_sqlserver(None, encrypted(driver, server), env=trusting(), exit_code=0, row=False)


def test_strict_with_a_server_that_cannot(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    keywords = {"Encrypt": "strict"} if driver == "microsoft" else {"Encryption": "strict"}
    dsn = at(driver, "localhost", server.port, **keywords)
    # FreeTDS 1.3 does not know the word, whatever the server.
    code = "tls-direct-refused" if driver == "microsoft" else "driver-unable"
    what = "Encrypt=strict, server before 2022"
    answer = named_sqlserver(code, dsn, env=trusting(), what=what, row=driver == "microsoft")
    assert "does not take TLS at the first byte" in tls_stage(answer)


def test_handshake_that_is_no_tls(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    server.controls.at("prelogin-answered", Say(bytes.fromhex("120100100000010048656c6c6f212121"), then="fin"))
    named_sqlserver("tls-handshake-failed", encrypted(driver, server), what="the handshake is no TLS")


def test_both_in_text(start_tds: Start) -> None:
    """What the driver says stands beside what we say."""
    server = start_tds(tls=certificates().foreign)
    dsn = encrypted("microsoft", server)
    result = run_dbdoctor("check", dsn, "--no-config", env={**odbc.environment(), **trusting()})
    assert result.exit_code == 3
    text = " ".join(result.stdout.split())
    assert "[certificate-untrusted]" in text
    assert "the driver says: SSL Provider:" in text
    assert "TrustServerCertificate=yes" in text
