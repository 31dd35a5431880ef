"""Every way in which TLS with a real PostgreSQL goes wrong, and what the client's own files do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probe.conftest import Named
from tests.servers.certificates import certificates
from tests.servers.postgresql import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    hba = ("hostssl all mutual all trust clientcert=verify-ca", "host all all all trust")
    with PostgresServer("debian15", tls=certificates().server, hba=hba) as server:
        server.execute("CREATE ROLE app LOGIN")
        server.execute("CREATE ROLE mutual LOGIN")
        yield server


def dsn(server: PostgresServer, mode: str, *, host: str = "localhost", user: str = "app", **parameters: str) -> str:
    return server.dsn(user=user, host=host, sslmode=mode, hostaddr="127.0.0.1", **parameters)


def test_verified(server: PostgresServer, named: Named) -> None:
    from tests.servers.cli import run_dbdoctor

    for mode in ("require", "verify-ca", "verify-full"):
        text = dsn(server, mode, sslrootcert=str(certificates().authority))
        result = run_dbdoctor("check", text, "--no-config")
        assert result.exit_code == 0, result.stdout + result.stderr
        assert "TLSv1.3" in result.stdout
        assert "certificate trusted" in " ".join(result.stdout.split())


def test_tls_not_offered(named: Named) -> None:
    with PostgresServer("embedded", hba=["host all all all trust"]) as server:
        named(
            "tls-not-offered", dsn(server, "require", user="postgres"), what="TLS required by the client, not offered"
        )


@pytest.mark.parametrize(
    ("kind", "code", "what"),
    [
        ("expired", "certificate-expired", "expired certificate"),
        ("not_yet_valid", "certificate-not-yet-valid", "certificate not valid yet"),
        ("foreign", "certificate-untrusted", "certificate of another authority"),
        ("wrong_name", "certificate-wrong-name", "certificate for another name"),
    ],
)
def test_bad_server_certificate(kind: str, code: str, what: str, named: Named) -> None:
    pair = getattr(certificates(), kind)
    with PostgresServer("debian15", tls=pair, hba=["host all all all trust"]) as server:
        text = dsn(server, "verify-full", user="postgres", sslrootcert=str(certificates().authority))
        answer = named(code, text, what=what)
        assert "not_after" in answer.finding(code)["evidence"]
        if code == "certificate-wrong-name":
            assert "db.example.org" in answer.finding(code)["title"]


def test_chain_in_between(named: Named) -> None:
    from tests.servers.cli import run_dbdoctor

    with PostgresServer("debian15", tls=certificates().chained, hba=["host all all all trust"]) as server:
        text = dsn(server, "verify-full", user="postgres", sslrootcert=str(certificates().authority))
        result = run_dbdoctor("check", text, "--no-config")
        assert result.exit_code == 0, result.stdout


def test_root_missing(server: PostgresServer, named: Named, tmp_path: Path) -> None:
    text = dsn(server, "verify-full", sslrootcert=str(tmp_path / "nowhere.pem"))
    named("root-certificate-missing", text, what="sslrootcert does not exist")


def test_root_unreadable(server: PostgresServer, named: Named, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("no certificate")
    text = dsn(server, "verify-ca", sslrootcert=str(tmp_path / "root.pem"))
    named("root-certificate-unreadable", text, what="sslrootcert holds no certificate")


def test_client_certificate(server: PostgresServer) -> None:
    from tests.servers.cli import run_dbdoctor

    pair = certificates().client("mutual")
    text = dsn(server, "require", user="mutual", sslcert=str(pair.certificate), sslkey=str(pair.key))
    result = run_dbdoctor("check", text, "--no-config")
    assert result.exit_code == 0, result.stdout


def test_client_certificate_of_a_stranger(server: PostgresServer, named: Named) -> None:
    pair = certificates().foreign_client("mutual")
    text = dsn(server, "require", user="mutual", sslcert=str(pair.certificate), sslkey=str(pair.key))
    named("client-certificate-refused", text, what="client certificate of another authority")


def test_client_key_too_open(server: PostgresServer, named: Named) -> None:
    pair = certificates().client("open")
    pair.key.chmod(0o644)
    text = dsn(server, "require", user="mutual", sslcert=str(pair.certificate), sslkey=str(pair.key))
    named("client-key-too-open", text, what="private key readable by others")


def test_client_key_of_another(server: PostgresServer, named: Named) -> None:
    one, other = certificates().client("one"), certificates().client("other")
    text = dsn(server, "require", user="mutual", sslcert=str(one.certificate), sslkey=str(other.key))
    named("client-key-unreadable", text, what="private key of another certificate")


def test_tls_version(named: Named) -> None:
    settings = {"ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.2"}
    with PostgresServer(
        "debian15", tls=certificates().server, hba=["host all all all trust"], settings=settings
    ) as server:
        text = dsn(server, "require", user="postgres", ssl_min_protocol_version="TLSv1.3")
        named("tls-version-refused", text, what="no TLS version in common")
