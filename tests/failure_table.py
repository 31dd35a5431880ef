"""A pytest plugin: collects the rows that tests record as `failure` and prints them as the README's table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.readme import block, replace_block

_rows: dict[str, list[str]] = {}
_stale: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "failure" and isinstance(value, list):
                _rows.setdefault(str(value[0]), [str(word) for word in value])


def cell(text: str, most: int = 96) -> str:
    text = re.sub(r'"/[^"]*/', '"…/', " ".join(text.replace("|", "/").split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def table(rows: dict[str, list[str]]) -> list[str]:
    lines = ["| provoked | dbdoctor | pg_isready | psql |", "|---|---|---|---|"]
    for name in sorted(rows, key=lambda key: (rows[key][1], key)):
        what, code, ready, psql = (cell(word) for word in rows[name])
        lines.append(f"| {what} | `{code}` | {ready} | {psql} |")
    return lines


def in_readme() -> set[tuple[str, str]]:
    """(provoked, code) of the README's table."""
    rows = (line.strip("| ").split(" | ") for line in block("failures").splitlines()[2:])
    return {(row[0], row[1].strip("`")) for row in rows if len(row) > 2}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-failure-table", action="store_true", help="write the README's table of failures anew")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run must have provoked what the README's table says, no more and no less."""
    if hasattr(session.config, "workerinput") or not _rows:
        return
    if session.config.getoption("--write-failure-table"):
        replace_block("failures", "\n".join(table(_rows)))
    seen = {(cell(row[0]), row[1]) for row in _rows.values()}
    if len(seen) >= len(in_readme()) and seen != in_readme():
        _stale.append(
            "README.md's table of failures is stale: run `python3 tests/run.py --write-failure-table tests/probe`"
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _rows:
        terminalreporter.section(f"{len(_rows)} failures, each provoked for real and named right")
        for line in [*table(_rows), *_stale]:
            terminalreporter.write_line(line)
