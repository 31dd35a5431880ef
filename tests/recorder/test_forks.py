"""A program that forks without end is recorded like any other: each fork ends the recorder's thread, and none its turn."""

from __future__ import annotations

from pathlib import Path

from tests.recorder.running import checkouts, functions, recordings, run_python

_FORKING = """
import glob, os, signal, sys, time
from sqlalchemy import create_engine
engine = create_engine("sqlite://", pool_size=2)
kept = []
def take_order():
    kept.append(engine.connect())
def look():
    engine.connect().close()
def is_told():
    return any('"held"' in open(name).read() for name in glob.glob(sys.argv[1] + "/*.jsonl"))
take_order()
until = time.monotonic() + 20
while not is_told() and time.monotonic() < until:
    look()
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_held_is_told_between_forks_that_never_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = _FORKING.replace("sys.argv[1]", repr(str(out))).replace("sqlite://", f"sqlite:///{tmp_path}/shop.db")
    result = run_python(program, out=out, options=("--leak-after", "100ms"))
    assert "connection held for" in result.stderr
    (lines,) = recordings(out).values()
    assert functions(lines) == {"take_order", "look"}
    assert checkouts(lines) > 0
