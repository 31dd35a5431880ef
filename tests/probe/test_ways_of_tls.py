"""sslmode prefer has two ways: what libpq manages by the second is not called a failure, and what it gives up is said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.probe.test_healthy import check
from tests.servers.certificates import certificates
from tests.servers.cli import run_dbdoctor
from tests.servers.postgresql import PostgresServer

HBA = (
    "local all all trust",
    "hostssl all two_ways all cert",
    "hostnossl all two_ways all trust",
    "hostssl all by_certificate all trust clientcert=verify-ca",
    "host all postgres all trust",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("debian15", tls=certificates().server, hba=HBA) as server:
        server.execute("CREATE ROLE two_ways LOGIN")
        yield server


def agrees_with_libpq(dsn: str, codes: set[str], severity: str = "warning") -> None:
    with contextlib.closing(psycopg2.connect(dsn)):
        pass
    answer = check(dsn, exit_code=None)
    assert answer["ok"], answer["findings"]
    assert {f["code"] for f in answer["findings"] if f["severity"] == severity} >= codes, answer["findings"]


def test_certificate_over_tls_or_trust_without(server: PostgresServer) -> None:
    agrees_with_libpq(server.dsn(user="two_ways", sslmode="prefer"), set())


def test_wrong_authority_under_prefer_gives_tls_up(server: PostgresServer) -> None:
    root = str(certificates().foreign.authority)
    dsn = server.dsn(sslmode="prefer", host="localhost", sslrootcert=root)
    agrees_with_libpq(dsn, {"certificate-untrusted", "tls-given-up"})


def test_unreadable_root_under_prefer(server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("nothing")
    agrees_with_libpq(server.dsn(sslmode="prefer", sslrootcert=str(tmp_path / "root.pem")), {"tls-given-up"})


def test_unix_socket_needs_no_root_certificate(server: PostgresServer) -> None:
    agrees_with_libpq(
        server.dsn(host=server.socket_directory, sslmode="verify-full", sslrootcert="/nonexistent.pem"), set()
    )


def test_requiressl(server: PostgresServer) -> None:
    answer = check(server.dsn(requiressl="1"))
    assert answer["server"]["tls"]
    assert "unknown-driver-option" not in [f["code"] for f in answer["findings"]]


def test_verify_full_with_an_address_only(server: PostgresServer) -> None:
    root = certificates().authority
    text = f"hostaddr=127.0.0.1 port={server.port} user=postgres dbname=postgres sslmode=verify-full sslrootcert={root}"
    answer = check(text, exit_code=3)
    assert [f["code"] for f in answer["findings"]] == ["verify-full-needs-name"]


def test_hostaddr_is_no_name(server: PostgresServer) -> None:
    result = run_dbdoctor("check", f"hostaddr=localhost port={server.port} user=postgres", "--no-config")
    assert result.exit_code == 2
    assert "hostaddr" in result.stderr
