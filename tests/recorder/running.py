"""Programs under `dbdoctor run`, and what they left in the recorder's files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.servers.cli import Result, Running, run_dbdoctor

# A shop whose mistakes are known: `take_order` keeps what it takes, `look` returns it.
SHOP = """
import os
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["SHOP_DSN"], pool_size=2, max_overflow=0, pool_timeout=0.3)
kept = []
def take_order():
    kept.append(engine.connect())
def look():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
"""


def write(place: Path, **modules: str) -> Path:
    """Modules in a directory of their own; gives the directory."""
    place.mkdir(exist_ok=True)
    for name, text in modules.items():
        (place / f"{name}.py").write_text(text)
    return place


def run_program(
    *command: str | Path,
    out: Path,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60.0,
    after_start: Callable[[Running], object] | None = None,
) -> Result:
    """`dbdoctor run --out OUT OPTIONS -- COMMAND`, to its end."""
    words = ("run", "--out", out, *options, "--", *command)
    return run_dbdoctor(
        *words, env={"PYTHONWARNINGS": "", **(env or {})}, cwd=cwd, timeout=timeout, after_start=after_start
    )


def run_python(text: str, *, out: Path, **rest: Any) -> Result:
    """A program of our own Python's, given as text."""
    return run_program(sys.executable, "-c", text, out=out, **rest)


def lines_of(file: Path) -> list[Any]:
    """A file's lines; every one has to be JSON, but a last one that was cut short."""
    *lines, _rest = file.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines]


def recordings(out: Path) -> dict[int, list[Any]]:
    """By process, everything that it recorded, older parts first."""
    found: dict[int, list[Any]] = {}
    for file in sorted(out.glob("*.jsonl")):
        lines = lines_of(file)
        found.setdefault(lines[0]["process"], []).extend(lines)
    return found


def checkouts(lines: list[Any]) -> int:
    """Finished checkouts of a process: rows, and closed ones."""
    return sum(isinstance(line, list) or "closed" in line for line in lines)


def functions(lines: list[Any]) -> set[str]:
    """The functions that took connections: of each site the innermost frame's."""
    return {line["frames"][0][2] for line in lines if isinstance(line, dict) and "frames" in line}
