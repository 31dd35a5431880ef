"""What answers on the port is no PostgreSQL, or one that stops, floods or lies in the middle of the login."""

from __future__ import annotations

import json

import pytest

from tests.probe.conftest import Named
from tests.servers.cli import run_dbdoctor
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE, ENDS, FLOODS, REFUSALS, SILENCES

SERVICES = {
    "http": ("HTTP", "HTTP on the port"),
    "ssh": ("SSH", "SSH on the port"),
    "mysql": ("MySQL", "MySQL on the port"),
    "tls": ("TLS", "a TLS server on the port"),
    "tls-alert": ("TLS", None),
    "tds": ("SQL Server", "SQL Server (TDS) on the port"),
    "smtp": ("SMTP", None),
    "redis": ("Redis", None),
}
CODES = {
    "random-bytes": "not-postgresql-protocol",
    "random-bytes-first": "not-postgresql-protocol",
    "echo": "not-postgresql-protocol",
    "silent": "accepted-then-silent",
    "silent-in-tls": "tls-handshake-stalled",
    "silent-after-no-tls": "startup-stalled",
    "silent-after-startup": "startup-stalled",
    "silent-after-startup-over-tls": "startup-stalled",
    "drips-authentication": "startup-stalled",
    "drips-error": "startup-stalled",
    "drips-before-startup": "accepted-then-silent",
    "closes-at-once": "closed-during-negotiation",
    "closes-after-ssl-request": "closed-during-negotiation",
    "resets-after-ssl-request": "closed-during-negotiation",
    "closes-in-tls": "closed-during-negotiation",
    "closes-after-tls": "closed-during-negotiation",
    "closes-after-startup": "closed-during-negotiation",
    "resets-after-startup": "closed-during-negotiation",
    "closes-after-password": "closed-during-login",
    "closes-after-authentication-ok": "closed-during-login",
    "silent-after-cleartext-password": "login-stalled",
    "silent-after-md5-password": "login-stalled",
    "silent-after-sasl": "login-stalled",
    "silent-after-authentication-ok": "login-stalled",
    "silent-after-login": "query-stalled",
    "says-too-many-clients": "too-many-clients",
    "error-for-ssl-request": "server-out-of-memory",
}
SHOWN = {
    "silent": "accepted, then silent",
    "closes-after-ssl-request": "closed during negotiation",
    "silent-in-tls": "stalls in TLS",
    "silent-after-cleartext-password": "stalls after the password",
    "drips-authentication": "one byte a second",
    "random-bytes": "random bytes on the port",
    "silent-after-login": "stalls at the first query",
}


def dsn(port: int, mode: str = "prefer") -> str:
    return f"postgresql://app:secret-pass-1@127.0.0.1:{port}/shop?sslmode={mode}"


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("mode", ["prefer", "disable"])
def test_wrong_service(name: str, mode: str, named: Named) -> None:
    service, what = SERVICES[name]
    with FakeServer(CATALOGUE[name]) as server:
        row = what is not None and mode == "prefer"
        answer = named("wrong-service", dsn(server.port, mode), what=what, row=row)
    assert service in answer.finding("wrong-service")["title"]


@pytest.mark.parametrize("name", [name for name in CODES if name in CATALOGUE])
def test_named(name: str, named: Named) -> None:
    with FakeServer(CATALOGUE[name]) as server:
        named(CODES[name], dsn(server.port), what=SHOWN.get(name), row=name in SHOWN)


def test_reset_at_once() -> None:
    """Whether the reset is seen while connecting or at the first word depends on which packet is quicker."""
    with FakeServer(CATALOGUE["resets-at-once"]) as server:
        result = run_dbdoctor("check", dsn(server.port), "--json", "--no-config")
    codes = [finding["code"] for finding in json.loads(result.stdout)["findings"]]
    assert codes in (["connection-reset"], ["closed-during-negotiation"])


def test_every_code_above_has_its_server() -> None:
    assert set(CODES) <= set(CATALOGUE)
    assert set(SERVICES) <= set(CATALOGUE)


@pytest.mark.parametrize("name", sorted({**ENDS, **SILENCES, **FLOODS, **REFUSALS}))
@pytest.mark.parametrize("mode", ["prefer", "disable"])
def test_whatever_a_server_does_is_named_within_the_login_timeout(name: str, mode: str) -> None:
    with FakeServer(CATALOGUE[name]) as server:
        result = run_dbdoctor("check", dsn(server.port, mode), "--json", "--no-config", "--login-timeout", "1s")
    assert result.exit_code == 3, result.stderr
    answer = json.loads(result.stdout)
    assert answer["seconds"] <= 1.3
    assert [finding["severity"] for finding in answer["findings"]].count("error") == 1
    assert "secret-pass-1" not in result.stdout + result.stderr


def test_hostile_words_change_nothing_but_their_own_place() -> None:
    with FakeServer(CATALOGUE["says-it-hostile"]) as server:
        result = run_dbdoctor("check", dsn(server.port, "disable"), "--no-config")
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "\\u001b[2J" in result.stdout
    assert not any(line.startswith("error: all is well") for line in result.stdout.splitlines())
