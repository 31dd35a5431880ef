"""What a start costs is guarded by what is not imported; benchmarks measure the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "sqlalchemy",
    "psycopg2",
    "pyodbc",
    "rich",
    "pydantic",
    "cryptography",
    "ssl",
    "tomllib",
    "asyncio",
    "psutil",
    "platformdirs",
)
LIST_MODULES = """
import sys
from dbdoctor.cli.main import run
code = run(sys.argv[1:])
print("imported:", *sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def imported(*arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments], capture_output=True, text=True, check=False, cwd="/"
    )
    names = next(line for line in done.stderr.splitlines() if line.startswith("imported:")).split()[1:]
    return done.returncode, {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["check", "--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["chekc"], 2),
        (["check", "--samples", "none"], 2),
        (["check", "--login-timeout", "soon", "demo"], 2),
        (["check", "mysql://u@h/d"], 2),
        (["explain", "no-such-code"], 2),
        (["leaks", "--help"], 0),
        (["leaks", "--for", "soon", "demo"], 2),
        (["leaks", "--group-by", "aplication", "demo"], 2),
        (["leaks", "--replay", "/dev/null"], 2),
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str], code: int) -> None:
    exit_code, names = imported(*arguments)
    assert exit_code == code
    assert names.isdisjoint(HEAVY), names & set(HEAVY)


def test_check_imports_only_what_it_needs() -> None:
    """A refused connection costs neither the driver nor TLS."""
    exit_code, names = imported("check", "--no-config", "postgresql://app@127.0.0.1:1/shop")
    assert exit_code == 3
    assert names.isdisjoint(set(HEAVY)), names & set(HEAVY)
