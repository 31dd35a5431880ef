"""`named`: run `dbdoctor check`, hold it to the code, and note what pg_isready and psql say of the same target."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.servers.binaries import home_of
from tests.servers.cli import run_dbdoctor


@dataclass(frozen=True)
class Answer:
    """What one `check --json` said."""

    exit_code: int
    object: dict[str, Any]
    seconds: float
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [finding["code"] for finding in self.object["findings"] if finding["severity"] == "error"]

    def finding(self, code: str) -> dict[str, Any]:
        return next(finding for finding in self.object["findings"] if finding["code"] == code)


Named = Callable[..., Answer]


def peer(program: str, arguments: Sequence[str], *, env: dict[str, str], prefix: Sequence[str] = ()) -> str:
    """The first words of what a program of PostgreSQL 15 answers, on one line, within 4 s."""
    home = home_of("debian15")
    command = [*prefix, str(home / "bin" / program), *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PGCONNECT_TIMEOUT": "2", "LC_ALL": "C", **env}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=4,
            stdin=subprocess.DEVNULL,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return "(hangs)"
    words = (done.stderr or done.stdout).strip().splitlines() or ["(nothing)"]
    return words[0].rpartition("failed: ")[2] or words[0]


@pytest.fixture
def named(record_property: Callable[[str, object], None]) -> Named:
    def check(
        code: str,
        dsn: str,
        *options: str,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        login_timeout: float = 2.0,
        exit_code: int = 3,
        what: str | None = None,
        row: bool = True,
    ) -> Answer:
        result = run_dbdoctor(
            "check",
            dsn,
            "--json",
            "--no-config",
            f"--login-timeout={login_timeout}s",
            *options,
            env=env or {},
            prefix=prefix,
        )
        assert "Traceback" not in result.stderr, result.stderr
        assert result.stdout, result.stderr
        answer = Answer(result.exit_code, json.loads(result.stdout), result.seconds, result.stderr)
        assert answer.errors[:1] == [code], (answer.object["findings"], result.stderr)
        assert answer.exit_code == exit_code
        assert answer.object["ok"] is (exit_code != 3)
        assert answer.object["seconds"] <= login_timeout + 0.3
        if row:
            ready = peer("pg_isready", ["-t", "2", "-d", dsn], env=env or {}, prefix=prefix)
            psql = peer("psql", ["-X", "-d", dsn, "-c", "select 1"], env=env or {}, prefix=prefix)
            record_property("failure", [what or code, code, ready.rpartition(" - ")[2], psql])
        return answer

    return check
