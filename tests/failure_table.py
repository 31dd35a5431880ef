"""A pytest plugin: collects the rows that tests record as `failure` and prints them as the README's table."""

from __future__ import annotations

from typing import Any

import pytest

_rows: dict[str, list[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "failure" and isinstance(value, list):
                _rows.setdefault(str(value[0]), [str(word) for word in value])


def cell(text: str, most: int = 96) -> str:
    text = " ".join(text.replace("|", "/").split())
    return text if len(text) <= most else text[: most - 1] + "…"


def table(rows: dict[str, list[str]]) -> list[str]:
    lines = ["| provoked | dbdoctor | pg_isready | psql |", "|---|---|---|---|"]
    for name in sorted(rows, key=lambda key: (rows[key][1], key)):
        what, code, ready, psql = (cell(word) for word in rows[name])
        lines.append(f"| {what} | `{code}` | {ready} | {psql} |")
    return lines


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _rows:
        terminalreporter.section(f"{len(_rows)} failures, each provoked for real and named right")
        for line in table(_rows):
            terminalreporter.write_line(line)
