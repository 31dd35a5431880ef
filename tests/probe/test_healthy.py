"""A server that answers: every supported major version over TLS, each right, a standby, a pooler; and what is left behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.binaries import MATRIX
from tests.servers.certificates import certificates
from tests.servers.cli import run_dbdoctor
from tests.servers.postgresql import PostgresServer


def check(dsn: str, *options: str, exit_code: int | None = 0, **keywords: Any) -> dict[str, Any]:
    result = run_dbdoctor("check", dsn, "--json", "--no-config", *options, **keywords)
    assert exit_code is None or result.exit_code == exit_code, result.stdout + result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize("version", MATRIX)
def test_every_major_version_over_tls(version: str) -> None:
    with PostgresServer(version, tls=certificates().server) as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'app-secret-1'")
        root = str(certificates().authority)
        dsn = server.dsn(user="app", password="app-secret-1", host="localhost", sslmode="verify-full", sslrootcert=root)
        answer = check(dsn)
    assert answer["ok"] is True
    assert answer["server"]["version_number"] // 10000 == int(version)
    assert answer["server"]["tls"]
    assert answer["server"]["is_standby"] is False
    assert [stage["name"] for stage in answer["stages"]] == ["resolve", "connect", "tls", "login", "query"]
    assert all(stage["ok"] for stage in answer["stages"])
    slots = answer["slots"]
    assert slots["limit"] == 40
    assert slots["free"] == slots["limit"] - slots["reserved"] - slots["used"]
    assert ("version-unsupported" in [f["code"] for f in answer["findings"]]) is (int(version) <= 14)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("debian15", settings={"log_statement": "all"}) as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'app-secret-1'")
        yield server


def app_dsn(server: PostgresServer, **parameters: str) -> str:
    return server.dsn(user="app", password="app-secret-1", **parameters)


def test_our_footprint(server: PostgresServer) -> None:
    """At most three statements a login, one session at a time, our name on it, read only, and nothing left."""
    before = len(server.log.splitlines())
    answer = check(app_dsn(server))
    log = server.log.splitlines()[before:]
    logins = [line for line in log if "connection authorized" in line]
    assert len(logins) == answer["cost"]["samples"] == 5
    assert all("application_name=dbdoctor" in line for line in logins)
    statements: dict[str, int] = {}
    for line in log:
        if "statement:" in line:
            pid = line.split("[")[1].split("]")[0]
            statements[pid] = statements.get(pid, 0) + 1
    assert max(statements.values()) <= 3
    assert server.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbdoctor'") == [(0,)]


def test_samples(server: PostgresServer) -> None:
    assert check(app_dsn(server), "--samples", "2")["cost"]["samples"] == 2


def test_restricted_view_is_named(server: PostgresServer) -> None:
    with contextlib.closing(server.connect()):
        answer = check(app_dsn(server))
        finding = next(f for f in answer["findings"] if f["code"] == "view-restricted")
        assert "pg_monitor" in finding["command"]
        server.execute("GRANT pg_monitor TO app")
        try:
            assert "view-restricted" not in [f["code"] for f in check(app_dsn(server))["findings"]]
        finally:
            server.execute("REVOKE pg_monitor FROM app")


def test_nearly_full(server: PostgresServer) -> None:
    """Warning at 80 %, error at 90 % of what ordinary users can have (37), and then no second login is made."""
    with contextlib.ExitStack() as held:
        for _ in range(29):
            held.enter_context(contextlib.closing(server.connect()))
        answer = check(app_dsn(server), "--fail-on", "warning", exit_code=1)
        assert "warning" in [f["severity"] for f in answer["findings"] if f["code"] == "slots-nearly-full"]
        for _ in range(5):
            held.enter_context(contextlib.closing(server.connect()))
        answer = check(app_dsn(server), exit_code=1)
        assert "error" in [f["severity"] for f in answer["findings"] if f["code"] == "slots-nearly-full"]
        assert answer["cost"]["samples"] == 1
        assert answer["cost"]["note"]
        assert check(app_dsn(server), "--fail-on", "never")["ok"]


def test_unknown_driver_option(server: PostgresServer) -> None:
    answer = check(app_dsn(server, timeout="5"), exit_code=1)
    finding = next(f for f in answer["findings"] if f["code"] == "unknown-driver-option")
    assert "`connect_timeout` instead of `timeout`" in finding["fix"]


def test_unknown_option_in_an_engines_connect_args(server: PostgresServer, tmp_path: Path) -> None:
    url = app_dsn(server, scheme="postgresql+psycopg2")
    lines = [
        "from sqlalchemy import create_engine",
        f"engine = create_engine({url!r}, connect_args={{'timeout': 5}})",
        "",
    ]
    (tmp_path / "shop_db.py").write_text("\n".join(lines))
    result = run_dbdoctor("check", "shop_db:engine", "--json", "--no-config", cwd=tmp_path)
    assert result.exit_code == 1, result.stdout + result.stderr
    finding = next(f for f in json.loads(result.stdout)["findings"] if f["code"] == "unknown-driver-option")
    assert "connect_timeout" in finding["fix"]


def test_password_file_that_others_can_read(server: PostgresServer, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{server.port}:*:app:app-secret-1\n")
    passfile.chmod(0o600)
    dsn = server.dsn(user="app", password=None)
    assert check(dsn, env={"PGPASSFILE": str(passfile)})["ok"]
    passfile.chmod(0o644)
    answer = check(dsn, exit_code=3, env={"PGPASSFILE": str(passfile)})
    assert {"password-missing", "password-file-ignored"} <= {f["code"] for f in answer["findings"]}
    assert "app-secret-1" not in json.dumps(answer)


def test_unix_socket_and_several_hosts(server: PostgresServer) -> None:
    answer = check(server.dsn(user="app", password="app-secret-1", host=server.socket_directory))
    assert [stage["name"] for stage in answer["stages"]] == ["connect", "login", "query"]
    several = (
        f"postgresql://app:app-secret-1@127.0.0.1:1,127.0.0.1:{server.port}/postgres?target_session_attrs=read-write"
    )
    answer = check(several)
    assert [f["code"] for f in answer["findings"] if f["severity"] == "warning"] == ["connection-refused"]


def test_hostile_names(server: PostgresServer) -> None:
    hostile = "\x1b[2J[/red]\n\u202e"
    with contextlib.closing(server.connect(application_name=hostile)):
        result = run_dbdoctor("check", app_dsn(server), "--no-config")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
