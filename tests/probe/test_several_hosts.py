"""Several hosts in one DSN: what libpq does with each kind of bad first host is what is reported, on real and fake servers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from tests.servers.cli import run_dbdoctor
from tests.servers.network import refused_port
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE, ENDS
from tests.servers.wire_postgres import answers_error, asks_for_password_then_errors, fatal


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("embedded") as server:
        yield server


def dsn(*ports: int, **parameters: str) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    return f"postgresql://postgres:{quote(PASSWORD, safe='')}@{hosts}/postgres?{query}"


def check(text: str) -> tuple[int, dict[str, Any]]:
    result = run_dbdoctor("check", text, "--json", "--no-config", "--login-timeout", "2s")
    assert result.stdout, result.stderr
    return result.exit_code, json.loads(result.stdout)


def libpq_connects(text: str) -> bool:
    try:
        with contextlib.closing(psycopg2.connect(text)):
            return True
    except (psycopg2.Error, UnicodeDecodeError):
        return False


# A reset that comes as the connection is made is a failed connect or a broken negotiation, whichever packet is quicker.
@pytest.mark.parametrize("name", sorted(set(ENDS) - {"resets-at-once"}))
def test_as_libpq_does_it(name: str, server: PostgresServer) -> None:
    """A first host that breaks off: libpq's own verdict and ours are the same."""
    with FakeServer(CATALOGUE[name]) as bad:
        text = dsn(bad.port, server.port)
        exit_code, answer = check(text)
        assert answer["ok"] is libpq_connects(text)
    assert exit_code in ((0, 1) if answer["ok"] else (3,))


def test_refused_first_host_is_a_warning(server: PostgresServer) -> None:
    with refused_port() as port:
        exit_code, answer = check(dsn(port, server.port))
    assert exit_code == 0
    assert ("connection-refused", "warning") in [(f["code"], f["severity"]) for f in answer["findings"]]
    assert str(server.port) in next(stage["detail"] for stage in answer["stages"] if stage["name"] == "login")


def test_a_silent_first_host_hangs_the_application_without_connect_timeout(server: PostgresServer) -> None:
    with FakeServer(CATALOGUE["silent"]) as silent:
        exit_code, answer = check(dsn(silent.port, server.port))
        assert (exit_code, answer["findings"][0]["code"]) == (3, "accepted-then-silent")
        exit_code, answer = check(dsn(silent.port, server.port, connect_timeout="2"))
    assert exit_code == 0
    assert ("accepted-then-silent", "warning") in [(f["code"], f["severity"]) for f in answer["findings"]]


def test_a_starting_first_host_is_passed_over(server: PostgresServer) -> None:
    starting = answers_error(fatal("57P03", "the database system is starting up"))
    with FakeServer(starting) as first:
        text = dsn(first.port, server.port)
        exit_code, answer = check(text)
        assert libpq_connects(text)
    assert exit_code == 0
    assert ("server-starting", "warning") in [(f["code"], f["severity"]) for f in answer["findings"]]


def test_primary_and_standby() -> None:
    standby_settings = {"max_connections": 100}
    with (
        PostgresServer("debian15", settings=standby_settings) as primary,
        PostgresServer("debian15", standby=True, settings={**standby_settings, "hot_standby": "on"}) as standby,
    ):
        for wanted, is_standby in (("read-write", False), ("standby", True), ("primary", False), ("any", True)):
            exit_code, answer = check(dsn(standby.port, primary.port, target_session_attrs=wanted))
            assert exit_code in (0, 1), answer["findings"]
            assert answer["server"]["is_standby"] is is_standby, wanted
        exit_code, answer = check(dsn(standby.port, target_session_attrs="read-write"))
        assert (exit_code, answer["findings"][0]["code"]) == (3, "session-attributes-not-met")


def test_words_that_are_no_utf8_after_the_password() -> None:
    words = fatal("28000", "Rolle »müller« darf sich nicht anmelden".encode("latin-1"))
    with FakeServer(asks_for_password_then_errors(words)) as server:
        exit_code, answer = check(dsn(server.port))
    assert exit_code == 3
    # Some builds of psycopg2 lose such words altogether; then no code of its own can be given.
    assert answer["findings"][0]["evidence"].get("sqlstate", "28000") == "28000"
    assert answer["findings"][0]["code"] in ("role-may-not-log-in", "login-refused")
