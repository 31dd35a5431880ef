"""`dbdoctor.attach` and `attach_all`: the recorder turned on from code, for chosen engines or for all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recorder.running import checkouts, functions, lines_of, recordings, run_python
from tests.servers.postgresql import PostgresServer

_BEGIN = """
import dbdoctor, logging, os, sys, time
from sqlalchemy import create_engine
logging.basicConfig(format="%(name)s: %(message)s")
mine, other = create_engine("sqlite://"), create_engine("sqlite://")
def use():
    mine.connect().close()
def use_other():
    other.connect().close()
"""


def python(text: str, cwd: Path) -> Any:
    """A program of our own Python's, without `dbdoctor run`."""
    command = [sys.executable, "-c", _BEGIN + text]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_the_chosen_engine_alone_is_recorded_also_when_it_was_disposed_of(tmp_path: Path) -> None:
    text = """
dbdoctor.attach(mine, out="out")
use(); use_other()
mine.dispose(); other.dispose()
use(); use_other()
dbdoctor.attach(mine)
use()
"""
    done = python(text, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (lines,) = recordings(tmp_path / "out").values()
    assert checkouts(lines) == 3
    assert functions(lines) == {"use"}


def test_all_engines_are_recorded_those_to_come_included(tmp_path: Path) -> None:
    text = """
dbdoctor.attach(mine, out="out")
use(); use_other()
dbdoctor.attach_all()
use(); use_other()
def use_new():
    create_engine("sqlite://").connect().close()
use_new()
"""
    assert python(text, tmp_path).returncode == 0
    (lines,) = recordings(tmp_path / "out").values()
    assert checkouts(lines) == 4
    assert functions(lines) == {"use", "use_other", "use_new"}


def test_the_log_tells_what_is_held_and_that_it_came_back(tmp_path: Path) -> None:
    text = """
dbdoctor.attach_all(out="out", leak_after=0.2)
seen = []
class Handler(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())
logging.getLogger("dbdoctor.recorder").addHandler(Handler())
def take():
    return mine.connect()
connection = take()
until = time.monotonic() + 30
while not seen and time.monotonic() < until:
    time.sleep(0.01)
connection.close()
"""
    done = python(text, tmp_path)
    held, returned = done.stderr.splitlines()
    assert re.fullmatch(r"dbdoctor\.recorder: connection held for \d+\.\d s, taken at <string>:\d+ in take", held), held
    assert re.search(r"taken at <string>:\d+ in take: returned after \d+\.\d s at <string>:\d+", returned), returned


@pytest.mark.parametrize("already", ["", "dbdoctor.attach_all(out='out')\n"])
@pytest.mark.parametrize(
    "given", ["leak_after=0", "leak_after=float('nan')", "leak_after=float('inf')", "sample=0", "sample=2"]
)
def test_values_out_of_range_are_refused(given: str, already: str, tmp_path: Path) -> None:
    for call in (f"dbdoctor.attach(mine, {given})", f"dbdoctor.attach_all({given})"):
        done = python(already + call, tmp_path)
        assert done.stderr.splitlines()[-1].startswith("ValueError: "), done.stderr


def test_a_place_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = python("dbdoctor.attach(mine, out='file/out')", tmp_path)
    assert done.stderr.splitlines()[-1].startswith("NotADirectoryError: ")


def test_an_engine_for_asyncio(postgres: PostgresServer, tmp_path: Path) -> None:
    text = f"""
import asyncio
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine({postgres.dsn(scheme="postgresql+asyncpg")!r})
dbdoctor.attach(engine, out="out")
async def ask():
    async with engine.connect() as connection:
        await connection.exec_driver_sql("select 1")
async def main():
    await asyncio.gather(ask(), ask(), ask())
    await engine.dispose()
asyncio.run(main())
use()
"""
    done = python(text, tmp_path)
    assert done.returncode == 0, done.stderr
    (lines,) = recordings(tmp_path / "out").values()
    assert checkouts(lines) == 3
    assert functions(lines) == {"ask"}


def test_beside_dbdoctor_run_it_changes_nothing(tmp_path: Path) -> None:
    text = _BEGIN + "dbdoctor.attach(mine, out='elsewhere'); use(); use_other()"
    result = run_python(text, out=tmp_path / "out", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    (file,) = (tmp_path / "out").glob("*.jsonl")
    assert functions(lines_of(file)) == {"use", "use_other"}
    assert not (tmp_path / "elsewhere").exists()
