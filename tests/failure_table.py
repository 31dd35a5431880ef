"""A pytest plugin: collects the failures that tests record and prints them as the README's tables, one a product.

`failure`: [provoked, code, pg_isready, psql]. `failure on SQL Server`: [provoked, code, driver, its words], once for each
of the two drivers.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.readme import README, block, replace_block

_rows: dict[str, list[str]] = {}
_sqlserver: dict[str, list[str]] = {}
_DRIVERS = {"microsoft": 2, "freetds": 3}
_stale: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "failure" and isinstance(value, list):
                _rows.setdefault(str(value[0]), [str(word) for word in value])
            if name == "failure on SQL Server" and isinstance(value, list):
                _note(*(str(word) for word in value))


def _note(what: str, code: str, driver: str, words: str) -> None:
    row = _sqlserver.setdefault(what, [what, code, "", ""])
    assert row[1] == code, f"{what} is {row[1]} with one driver and {code} with the other"
    row[_DRIVERS[driver]] = row[_DRIVERS[driver]] or words


def cell(text: str, most: int = 96) -> str:
    text = re.sub(r'"/[^"]*/', '"…/', " ".join(text.replace("|", "/").split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def table(rows: dict[str, list[str]], *others: str) -> list[str]:
    lines = [f"| provoked | dbdoctor | {' | '.join(others)} |", "|---|---|---|---|"]
    for name in sorted(rows, key=lambda key: (rows[key][1], key)):
        what, code, one, other = (cell(word) for word in rows[name])
        lines.append(f"| {what} | `{code}` | {one} | {other} |")
    return lines


def tables() -> dict[str, tuple[dict[str, list[str]], list[str]]]:
    """The README's block -> its rows, and as lines."""
    return {
        "failures": (_rows, table(_rows, "pg_isready", "psql")),
        "failures: SQL Server": (
            _sqlserver,
            table(_sqlserver, "Microsoft's ODBC driver 18 through pyodbc", "FreeTDS through pyodbc"),
        ),
    }


def in_readme(name: str) -> set[tuple[str, str]]:
    """(provoked, code) of one of the README's tables."""
    rows = (line.strip("| ").split(" | ") for line in block(name).splitlines()[2:])
    return {(row[0], row[1].strip("`")) for row in rows if len(row) > 2}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-failure-table", action="store_true", help="write the README's table of failures anew")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run must have provoked what the README's tables say, no more and no less."""
    if hasattr(session.config, "workerinput"):
        return
    for name, (rows, lines) in tables().items():
        if not rows or f"<!-- {name} -->" not in README.read_text():
            continue
        if session.config.getoption("--write-failure-table"):
            replace_block(name, "\n".join(lines))
        seen = {(cell(row[0]), row[1]) for row in rows.values()}
        if len(seen) >= len(in_readme(name)) and seen != in_readme(name):
            _stale.append(
                f"README.md's table `{name}` is stale: run `python3 tests/run.py --write-failure-table tests/probe`"
            )
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, (rows, lines) in tables().items():
        if rows:
            terminalreporter.section(f"{name}: {len(rows)}, each provoked for real and named right")
            for line in lines:
                terminalreporter.write_line(line)
    for line in _stale:
        terminalreporter.write_line(line)
