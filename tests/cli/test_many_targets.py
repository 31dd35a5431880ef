"""Many targets at once: none delays another, results come in the order asked for."""

from __future__ import annotations

import json

from tests.servers.cli import run_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE

TIMEOUT = 3.0


def test_fifty_targets_of_which_twenty_hang(postgres: PostgresServer) -> None:
    good = postgres.dsn()
    with FakeServer(CATALOGUE["silent"]) as silent, FakeServer(CATALOGUE["silent-after-startup"]) as stalled:
        hanging = [f"postgresql://app@127.0.0.1:{silent.port}/a", f"postgresql://app@127.0.0.1:{stalled.port}/b"]
        dsns = [hanging[i // 5 % 2] if i % 5 in (1, 3) else good for i in range(50)]
        assert sum(dsn != good for dsn in dsns) == 20
        result = run_dbdoctor(
            "check", *dsns, "--json", "--no-config", "--samples", "1", "--login-timeout", f"{TIMEOUT}s", timeout=60
        )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 3
    assert [answer["ok"] for answer in answers] == [dsn == good for dsn in dsns]
    assert max(answer["seconds"] for answer in answers) <= TIMEOUT + 0.3
    assert result.seconds <= TIMEOUT + 1.0 + 0.5  # and half a second to start the process


def test_text_of_several_targets(postgres: PostgresServer) -> None:
    refused = "postgresql://app@127.0.0.1:1/shop"
    result = run_dbdoctor("check", postgres.dsn(), refused, "--no-config")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(("healthy: ", "reachable: "))
    assert "[connection-refused]" in result.stdout
    assert lines[-1].startswith("2 targets: ")
    assert "1 unreachable" in lines[-1]
    assert result.exit_code == 3
