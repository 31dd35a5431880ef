"""`named_sqlserver`: run `dbdoctor check` through an ODBC driver, hold it to the code, and note the driver's own words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.probe.conftest import Answer
from tests.servers import odbc
from tests.servers.cli import clean_environment, run_dbdoctor
from tests.servers.tds import DATABASE
from tests.servers.workspace import workspace

# What an application sees: pyodbc with a login timeout of 2 s.
_PEER = r"""
import re, sys, time, pyodbc
begun = time.monotonic()
try:
    pyodbc.connect(sys.argv[1], timeout=2, autocommit=True).execute("SELECT 1").fetchall()
    print("(connects)")
except pyodbc.Error as error:
    state, words = (str(part) for part in error.args[:2])
    words = re.sub(r"\A(\[[^\]]*\] ?)+|( \(0\))?( \(SQL\w+\))?\Z", "", words)
    seconds = time.monotonic() - begun
    print(f"{state} {' '.join(words.split())}", f"(after {seconds:.0f} s)" if seconds > 0.9 else "")
"""
POSTGRESQL_WORDS = (
    "postgres", "libpq", "psql", "pg_", "psycopg", "sslmode", "max_connections", "pgbouncer", "sqlstate", "listen_addresses",
)  # fmt: skip

NamedSqlServer = Callable[..., Answer]


def at(driver: str, host: str, port: int | None, *, instance: str = "", **keywords: object) -> str:
    """A connection string to any host."""
    if driver == "microsoft":
        keywords.setdefault("Server", f"{host}\\{instance}" if instance else f"{host},{port}")
    else:
        keywords.setdefault("Server", f"{host}\\{instance}" if instance else host)
        keywords.setdefault("Port", None if instance else port)
    return odbc.connection_string(driver, port or 0, **{"Database": DATABASE, **keywords})


@dataclass
class Peer:
    """An application that connects, while `check` runs."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, dsn: str, *, env: dict[str, str], prefix: Sequence[str]) -> Peer:
        place = workspace().directory("peer", mode=0o755)
        command = [*prefix, sys.executable, "-c", _PEER, dsn]
        environment = {**clean_environment(place), **env}
        return cls(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            )
        )

    def words(self) -> str:
        """What it said within 6 s."""
        try:
            said, _ = self.process.communicate(timeout=6)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return "(hangs)"
        if self.process.returncode < 0:
            return f"(dies of signal {-self.process.returncode})"
        return (said.strip().splitlines() or ["(nothing)"])[0].strip()


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    """Each of the two ODBC drivers."""
    return str(request.param)


@pytest.fixture
def named_sqlserver(driver: str, record_property: Callable[[str, object], None]) -> NamedSqlServer:
    def check(
        code: str | None,
        dsn: str,
        *options: str,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        login_timeout: float = 2.0,
        exit_code: int = 3,
        what: str | None = None,
        row: bool = True,
    ) -> Answer:
        environment = {**odbc.environment(), **(env or {})}
        peer = Peer.start(dsn, env=environment, prefix=prefix) if row else None
        timeout = f"--login-timeout={login_timeout}s"
        result = run_dbdoctor("check", dsn, "--json", "--no-config", timeout, *options, env=environment, prefix=prefix)
        words = peer.words() if peer else ""
        assert "Traceback" not in result.stderr, result.stderr
        assert result.stdout, result.stderr
        assert result.outlived_by == ()
        answer = Answer(result.exit_code, json.loads(result.stdout), result.seconds, result.stderr)
        assert answer.errors[:1] == ([code] if code else []), (answer.object["findings"], result.stderr)
        assert answer.exit_code == exit_code
        assert answer.object["ok"] is (exit_code != 3)
        assert answer.object["seconds"] <= login_timeout + 0.3
        speaks_no_postgresql(result.stdout)
        if row:
            record_property("failure on SQL Server", [what or code, code, driver, words])
        return answer

    return check


def speaks_no_postgresql(text: str) -> None:
    """Nothing said of SQL Server is in another product's words."""
    text = (
        text.lower().replace('"sqlstate"', "").replace("babelfish for postgresql", "").replace("postgresql (or a", "")
    )
    found = [word for word in POSTGRESQL_WORDS if word in text]
    assert not found, (found, text)
