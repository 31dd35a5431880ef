"""Encrypt=strict (TDS 8): TLS before anything else, judged as Microsoft's driver judges it; FreeTDS 1.3 does not know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.probe.sqlserver_named import NamedSqlServer, at, driver, named_sqlserver
from tests.probe.test_sqlserver_tls import tls_stage, trusting
from tests.servers.certificates import certificates
from tests.servers.tds import TdsServer

__all__ = ["driver", "named_sqlserver"]

Start = Callable[..., TdsServer]
MICROSOFT_ONLY = pytest.mark.parametrize("driver", ["microsoft"])


@pytest.fixture
def start_strict() -> Iterator[Start]:
    """A server that speaks TDS 8 with the certificate of that kind."""
    started: list[TdsServer] = []

    def start(kind: str = "server") -> TdsServer:
        server = TdsServer(tls=getattr(certificates(), kind)).start()
        server.controls.speaks_tds8 = True
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def strict(server: TdsServer, host: str = "localhost", **keywords: Any) -> str:
    return at("microsoft", host, server.port, **{"Encrypt": "strict", **keywords})


@MICROSOFT_ONLY
def test_all_stages(start_strict: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_strict()
    answer = named_sqlserver(None, strict(server), env=trusting(), exit_code=0, row=False)
    assert "certificate trusted, for localhost, until " in tls_stage(answer)
    assert answer.object["server"]["tls"] == tls_stage(answer)
    assert answer.object["findings"] == []
    # Ours and the driver's own sessions alike asked for the protocol by its name.
    assert len(server.tls_protocols) > 1
    assert set(server.tls_protocols) == {"tds/8.0"}
    assert {login.user for login in server.logins} == {"sa"}


@MICROSOFT_ONLY
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("expired", "certificate-expired"),
        ("not_yet_valid", "certificate-not-yet-valid"),
        ("foreign", "certificate-untrusted"),
        ("wrong_name", "certificate-wrong-name"),
    ],
)
def test_trusting_the_certificate_does_not_help(
    kind: str, code: str, start_strict: Start, named_sqlserver: NamedSqlServer
) -> None:
    """TrustServerCertificate is passed over, which is said."""
    dsn = strict(start_strict(kind), TrustServerCertificate="yes")
    answer = named_sqlserver(code, dsn, env=trusting(), row=False)
    option = answer.finding("certificate-option-ignored")
    assert option["title"] == "`TrustServerCertificate=yes with Encrypt=strict` does nothing"


@MICROSOFT_ONLY
@pytest.mark.parametrize(
    ("kind", "host", "expected", "code"),
    [
        ("wrong_name", "localhost", "db.example.org", None),
        ("server", "127.0.0.1", "localhost", None),
        ("server", "127.0.0.1", None, "certificate-wrong-name"),
    ],
)
def test_the_name_to_expect(
    kind: str, host: str, expected: str | None, code: str | None, start_strict: Start, named_sqlserver: NamedSqlServer
) -> None:
    keywords = {"HostnameInCertificate": expected} if expected else {}
    dsn = strict(start_strict(kind), host, **keywords)
    answer = named_sqlserver(code, dsn, env=trusting(), exit_code=3 if code else 0, row=False)
    assert next(stage["ok"] for stage in answer.object["stages"] if stage["name"] == "tls") is (code is None)


@MICROSOFT_ONLY
@pytest.mark.parametrize("kind", ["foreign", "wrong_name", "chained"])
@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_pinned_certificate_needs_no_authority_and_no_name(
    kind: str, form: str, start_strict: Start, named_sqlserver: NamedSqlServer, tmp_path: Path
) -> None:
    file = getattr(certificates(), kind).certificate
    if form == "der":
        one = x509.load_pem_x509_certificate(file.read_bytes())
        file = tmp_path / "own.cer"
        file.write_bytes(one.public_bytes(Encoding.DER))
    dsn = strict(start_strict(kind), ServerCertificate=file)
    answer = named_sqlserver(None, dsn, exit_code=0, row=False)
    assert "certificate is the pinned one, until " in tls_stage(answer)


@MICROSOFT_ONLY
@pytest.mark.parametrize(
    ("pinned", "code"),
    [
        ("foreign", "certificate-not-pinned-one"),
        ("authority", "certificate-not-pinned-one"),
        ("nowhere", "root-certificate-unreadable"),
        ("no certificate", "root-certificate-unreadable"),
    ],
)
def test_another_certificate_than_the_pinned_one(
    pinned: str, code: str, start_strict: Start, named_sqlserver: NamedSqlServer, tmp_path: Path
) -> None:
    """Though its authority is trusted; an authority's certificate is no server's."""
    (tmp_path / "no certificate").write_text("hello")
    files = {"foreign": certificates().foreign.certificate, "authority": certificates().authority}
    dsn = strict(start_strict(), ServerCertificate=files.get(pinned, tmp_path / pinned))
    what = {"foreign": "another certificate than ServerCertificate's", "nowhere": "ServerCertificate is not there"}
    answer = named_sqlserver(code, dsn, env=trusting(), what=what.get(pinned), row=pinned in what)
    assert "ServerCertificate" in answer.finding(code)["title"]


@MICROSOFT_ONLY
def test_an_expired_certificate_is_refused_though_pinned(start_strict: Start, named_sqlserver: NamedSqlServer) -> None:
    dsn = strict(start_strict("expired"), ServerCertificate=certificates().expired.certificate)
    named_sqlserver("certificate-expired", dsn, row=False)


@MICROSOFT_ONLY
def test_a_pinned_certificate_counts_with_strict_only(start_strict: Start, named_sqlserver: NamedSqlServer) -> None:
    dsn = strict(start_strict(), Encrypt="yes", ServerCertificate=certificates().foreign.certificate)
    answer = named_sqlserver(None, dsn, env=trusting(), exit_code=0, row=False)
    assert (
        answer.finding("certificate-option-ignored")["title"]
        == "`ServerCertificate without Encrypt=strict` does nothing"
    )


@MICROSOFT_ONLY
def test_a_refused_login_is_named_within_tds_8(start_strict: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_strict()
    named_sqlserver("login-failed", strict(server, PWD="not-it-7"), env=trusting(), row=False)


@pytest.mark.parametrize("driver", ["freetds"])
def test_freetds_does_not_know_it(start_strict: Start, named_sqlserver: NamedSqlServer) -> None:
    """It asks nobody and says `Unable to connect`; the server is as it should be."""
    server = start_strict()
    dsn = at("freetds", "localhost", server.port, Encryption="strict")
    answer = named_sqlserver("driver-unable", dsn, env=trusting(), what="Encryption=strict with FreeTDS 1.3")
    finding = answer.finding("driver-unable")
    assert "knows no strict encryption (TDS 8)" in finding["title"]
    assert "Microsoft's driver 18" in finding["fix"]
    assert server.logins == []
    assert [one["code"] for one in answer.object["findings"]] == ["driver-unable"]
