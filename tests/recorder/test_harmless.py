"""Whatever happens to the recorder, the program does not notice: the same output, exceptions and exit code as without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import gc, os, signal, sys, threading, time, weakref
OUT = os.environ.get("OUT")
recording = None
def record(**given):
    global recording
    from dbdoctor.recorder.recorder import Settings
    from dbdoctor.recorder.start import start
    if OUT:
        recording = start(Settings(OUT, **{"leak_after": 3600.0, **given}))
def boom(*_arguments, **_names):
    raise ZeroDivisionError("boom")
def made(**given):
    from sqlalchemy import create_engine
    from sqlalchemy.pool import QueuePool
    return create_engine("sqlite://", **{"poolclass": QueuePool, "connect_args": {"check_same_thread": False}, **given})
"""


class Done(NamedTuple):
    output: str
    errors: str
    code: int
    files: list[list[Any]]

    def all(self, key: str) -> list[dict[str, Any]]:
        return [line for lines in self.files for line in lines if isinstance(line, dict) and key in line]

    @property
    def rows(self) -> list[list[int]]:
        return [line for lines in self.files for line in lines if isinstance(line, list)]

    @property
    def ended(self) -> int:
        """Checkouts whose end is written, as a row or otherwise."""
        return len(self.rows) + len(self.all("closed"))


def run(text: str, out: Path | None, *options: str, python: str = sys.executable, **rest: Any) -> Done:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"OUT": str(out)} if out else {})}
    words = [python, *options, "-c", PRELUDE + textwrap.dedent(text)]
    done = subprocess.run(
        words,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
        **rest,
    )
    files = sorted(out.glob("*.jsonl")) if out and out.is_dir() else []
    # What is behind the last newline was cut short by a disk that is full.
    lines = [[json.loads(line) for line in file.read_text().split("\n")[:-1]] for file in files]
    return Done(done.stdout, done.stderr, done.returncode, lines)


def run_both(text: str, out: Path, *options: str) -> Done:
    """With the recorder; the program's own part of it must be as without."""
    bare, recorded = run(text, None, *options), run(text, out, *options)
    assert (recorded.output, recorded.code) == (bare.output, bare.code), recorded.errors
    return recorded


EVERYTHING = """
from sqlalchemy import exc, text
engine = made(pool_size=1, max_overflow=0, pool_timeout=0.05)
for _ in range(3):
    with engine.connect() as connection:
        print(connection.scalar(text("select 1")))
held = engine.connect()
try:
    engine.connect()
except exc.TimeoutError as error:
    print(type(error), error, error.__cause__, error.__context__)
held.invalidate()
held.close()
fairy = engine.raw_connection()
del fairy
gc.collect()
held = engine.connect()
held.detach()
held.close()
sys.stdout.flush()
child = os.fork()
if not child:
    engine.dispose(close=False)
    with engine.connect() as connection:
        print("child", connection.scalar(text("select 2")))
    sys.stdout.flush()
    os._exit(7)
print(os.waitpid(child, 0)[1])
try:
    made(creator=boom).connect()
except ZeroDivisionError as error:
    print(repr(error), error.__context__)
with engine.connect() as connection:
    connection.connection._connection_record.invalidate(soft=True)
print(engine.pool.status())
engine.dispose()
time.sleep(0.7)
sys.exit(3)
"""
PARTS = [
    "sites.Sites.here",
    "sites.Sites.outside",
    "recorder.Recorder.pool_number",
    "recorder.Recorder.connection_number",
    "recorder.Recorder.forget_connection",
    "recorder.Recorder.tell",
    "recorder.Recorder.finish",
    "recorder.Recorder.holders",
    "recorder._described",
    "hooks._given",
    "hooks._not_given",
    "hooks._details",
    "hooks._because",
    "hooks._pool_of",
    "writer.Writer.wake",
    "writer.Writer.pause",
    "writer.Writer.resume",
    "writer.Writer._flush",
    "writer.Writer._gather",
    "background.Background.stop",
    "background._block_signals",
    "lines.Clock.rows",
    "writer.header",
    "file.RecordFile.append",
]


@pytest.mark.parametrize("part", PARTS)
def test_a_fault_of_ours_turns_it_off_with_one_warning(tmp_path: Path, part: str) -> None:
    module, _, name = part.partition(".")
    broken = f"import dbdoctor.recorder.start, dbdoctor.recorder.{module} as module\nmodule.{name} = boom\nrecord()\n"
    done = run_both(broken + EVERYTHING, tmp_path / "out")
    told = done.errors.splitlines() + [line["disabled"] for line in done.all("disabled")]
    assert all("ZeroDivisionError" in line for line in told), told
    # The process, and at the most its child, which may have a fault of its own.
    assert 1 <= len(told) <= 2, told


def test_nothing_is_seen_of_it(tmp_path: Path) -> None:
    done = run_both("record()\n" + EVERYTHING, tmp_path / "out", "-W", "error")
    assert done.errors == ""
    assert done.code == 3
    assert not done.all("disabled")
    assert [line["how"] for line in done.all("end")] == ["exit", "exit"]
    assert done.ended == 8  # the child's among them


@pytest.mark.parametrize(
    "what",
    [
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))",  # as a disk that is full
        "OUT = __file__ if '__file__' in globals() else '/dev/null/x'",
        "OUT = '/proc/1/task/nowhere'",
    ],
)
def test_nowhere_to_write(tmp_path: Path, what: str) -> None:
    done = run_both(f"if OUT:\n    {what}\nrecord()\n" + EVERYTHING, tmp_path / "out")
    mine = [line for line in done.errors.splitlines() if line]
    assert all(line.startswith("dbdoctor: the recorder stopped (") for line in mine), mine
    assert 1 <= len(mine) <= 2


LIVE = """
record()
engine = made()
def use():
    engine.connect().close()
def written():
    before = os.stat(place()).st_mtime_ns
    while os.stat(place()).st_mtime_ns == before:
        time.sleep(0.01)
def place():
    import glob
    while not (found := glob.glob(OUT + "/*.jsonl")):
        time.sleep(0.01)
    return found[0]
use()
place()
"""


def test_a_directory_that_is_removed_is_made_again(tmp_path: Path) -> None:
    text = (
        LIVE
        + "import shutil\nheld = engine.connect()\ntime.sleep(1.2)\nshutil.rmtree(OUT)\nplace()\nuse()\nheld.close()\n"
    )
    done = run(text, tmp_path / "out")
    assert (done.code, done.errors) == (0, "")
    assert done.all("schema")[0]["part"] == 2
    assert len(done.all("driver")) == 2
    assert {line["closed"] for line in done.all("closed")} == {line["open"] for line in done.all("open")} == {1}
    assert len(done.rows) == 1
    assert {line["site"] for line in done.all("frames")} >= {row[3] for row in done.rows}


def test_descriptors_that_are_closed(tmp_path: Path) -> None:
    text = (
        LIVE
        + "os.closerange(3, 1000)\nfor _ in range(3):\n    use()\n    written()\nassert not os.get_inheritable(0)\n"
    )
    done = run(text.replace("assert not os.get_inheritable(0)\n", ""), tmp_path / "out")
    assert (done.code, done.errors) == (0, "")
    assert len(done.rows) == 4


def test_a_user_that_may_not_write_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    change = "os.chmod(OUT, 0)\nif os.getuid() == 0:\n    os.setuid(65534)\n"
    done = run(LIVE + change + "for _ in range(3):\n    use()\n    time.sleep(0.4)\nprint('done')", out)
    out.chmod(0o700)
    assert (done.code, done.output) == (0, "done\n")
    (warning,) = done.errors.splitlines()
    assert warning.startswith("dbdoctor: the recorder stopped (PermissionError")


def test_the_rest_is_written_before_a_hard_exit(tmp_path: Path) -> None:
    done = run("record()\nengine = made()\nengine.connect().close()\nos._exit(5)", tmp_path / "out")
    assert (done.code, done.errors, len(done.rows)) == (5, "", 1)
    done = run(
        "record()\nimport multiprocessing as m\nengine = made()\ndef work():\n    engine.connect().close()\n"
        "m.get_context('fork').Process(target=work).start()",
        tmp_path / "again",
    )
    assert (done.code, done.errors, len(done.rows)) == (0, "", 1)


@pytest.mark.parametrize(
    "end", ["os._exit(4)", "sys.exit(4)", "os._exit(4) if not os.fork() else sys.exit(os.wait()[1] >> 8)"]
)
def test_a_write_that_hangs_holds_nobody_up(tmp_path: Path, end: str) -> None:
    hang = "import dbdoctor.recorder.file as file\nentered = threading.Event()\n"
    hang += "def hang(*_):\n    entered.set()\n    threading.Event().wait()\nfile.RecordFile._write = hang\n"
    done = run(hang + f"record()\nengine = made()\nengine.connect().close()\nentered.wait()\n{end}", tmp_path / "out")
    assert done.code == 4


def test_forks(tmp_path: Path) -> None:
    text = """
        record()
        engine = made()
        def work(children):
            for _ in range(children):
                engine.connect().close()
                child = os.fork()
                if not child:
                    engine.dispose(close=False)
                    engine.connect().close()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
        work(100)
        threads = [threading.Thread(target=work, args=(10,)) for _ in range(5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert recording is None or not recording.recorder.off
    """
    done = run(text, tmp_path / "out", "-W", "error")
    assert (done.code, done.errors) == (0, "")
    assert len(done.files) == 151
    assert done.ended == 300
    assert all(line["how"] == "exit" for line in done.all("end"))
    assert len(done.all("end")) == 151


def test_interruptions_reach_the_program(tmp_path: Path) -> None:
    """A signal handler that raises while code of ours runs: what it raises is the program's."""
    text = """
        import itertools
        class LimitError(Exception):
            pass
        raised = caught = 0
        def handler(_number, frame):
            global raised
            if frame is not None and "dbdoctor/recorder" in frame.f_code.co_filename:
                raised += 1
                raise LimitError
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
        signal.signal(signal.SIGALRM, handler)
        record()
        from sqlalchemy.pool import NullPool
        until = time.monotonic() + 30
        engine = made(poolclass=NullPool)
        while caught < 20 and time.monotonic() < until:
            signal.setitimer(signal.ITIMER_REAL, 0.0001)  # once: of two at a time the second would replace the first
            try:
                engine.connect().close()
            except LimitError:
                caught += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        assert caught, "never met"
        assert recording.recorder.disabled is None, recording.recorder.disabled
        print(raised - caught)
    """
    done = run(text, tmp_path / "out")
    assert (done.code, done.output) == (0, "0\n"), done.errors


def test_checkouts_in_a_signal_handler(tmp_path: Path) -> None:
    text = """
        record()
        from sqlalchemy.pool import NullPool
        engine = made(poolclass=NullPool)
        count = 0
        def use():
            global count
            count += 1
            engine.connect().close()
        use()  # SQLAlchemy holds a lock during an engine's first one
        def handler(*_):
            use()
            signal.setitimer(signal.ITIMER_REAL, 0.002)  # not before: on a slow machine they would never end
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            use()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(count)
    """
    done = run(text, tmp_path / "out")
    assert (done.code, done.errors) == (0, "")
    # `count += 1` is not atomic either; what is recorded is what SQLAlchemy was asked for.
    assert abs(done.ended - int(done.output)) <= 2


def test_a_blocked_signal_stays_the_program_s(tmp_path: Path) -> None:
    text = """
        record()
        engine = made()
        engine.connect().close()
        time.sleep(0.1)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.sigwait([signal.SIGTERM]).name)
    """
    assert run(text, tmp_path / "out").output == "SIGTERM\n"


def test_near_the_recursion_limit(tmp_path: Path) -> None:
    text = """
        record()
        from sqlalchemy.pool import NullPool
        engine = made(poolclass=NullPool)
        engine.connect().close()
        def at(depth):
            if depth:
                return at(depth - 1)
            try:
                connection = engine.raw_connection()
            except RecursionError:
                return "-"
            connection.close()
            return "+"
        def tried(depth):
            try:
                return at(depth)
            except RecursionError:
                return "-"
        print("".join(tried(depth) for depth in range(900, 1000)))
        print(recording is None or recording.recorder.disabled)
    """
    bare, recorded = run(text, None), run(text, tmp_path / "out")
    assert (recorded.code, recorded.errors) == (bare.code, bare.errors) == (0, "")
    # Our function around `Pool.connect` takes one frame; nothing else may be different.
    assert recorded.output.splitlines()[1] == "None"
    fits = bare.output.index("-")
    assert fits - 3 <= recorded.output.index("-") <= fits


def test_the_end_of_the_interpreter(tmp_path: Path) -> None:
    text = """
        record()
        engine = made(pool_size=20)
        def hammer():
            while True:
                engine.connect().close()
        for _ in range(4):
            threading.Thread(target=hammer, daemon=True).start()
        thread = threading.Thread(target=lambda: (engine.connect().close(), sys.exit(9)))
        thread.start()
        thread.join()
        class Last:
            def __del__(self):
                engine.connect().close()
        kept = Last()
        time.sleep(0.3)
    """
    for number in range(5):
        done = run(text, tmp_path / f"out{number}")
        assert (done.code, done.errors) == (0, "")
        assert done.all("end")


def test_sub_interpreters(tmp_path: Path) -> None:
    text = """
        import _xxsubinterpreters as interpreters
        program = '''
        import os
        from dbdoctor.recorder.recorder import Settings
        from dbdoctor.recorder.start import start
        start(Settings(os.environ["OUT"]))
        from sqlalchemy import create_engine
        engine = create_engine("sqlite://")
        engine.connect().close()
        import time
        time.sleep(0.7)
        '''
        import textwrap
        one = interpreters.create(isolated=False)
        interpreters.run_string(one, textwrap.dedent(program))
        interpreters.destroy(one)
    """
    done = run(text, tmp_path / "out")
    assert done.code == 0, done.errors
    why = "dbdoctor: the recorder stopped (it does not work in a sub-interpreter); the program is not affected"
    assert done.errors.splitlines() == [why]


def test_nothing_is_kept_alive(tmp_path: Path) -> None:
    text = """
        record()
        from sqlalchemy import text
        from sqlalchemy.orm import Session
        class Local:
            pass
        def use():
            local = Local()
            engine = made()
            with Session(engine) as session:
                session.execute(text("select 1"))
                found = [session, session.connection().connection]
            fairy = engine.raw_connection()
            leaked = engine.raw_connection()
            found += [local, engine.pool, fairy, fairy._connection_record, leaked, sys._getframe()]
            fairy.close()
            found.append(engine)
            return [weakref.ref(one) for one in found if "frame" not in type(one).__name__]
        found = use()
        for _ in range(3):  # what the finalizers of the first hold goes with the next
            gc.collect()
        print([one() for one in found if one() is not None])
    """
    done = run_both(text, tmp_path / "out")
    assert (done.output, done.errors) == ("[]\n", "")


def test_memory_is_bounded(tmp_path: Path) -> None:
    text = """
        record()
        recorder, writer = recording.recorder, recording.writer
        for number in range(300):
            made().connect().close()  # an engine each time, never disposed of
        gc.collect()
        writer.flush()
        sizes = [len(one) for one in (recorder.connections, recorder.pool_of, recorder.pools, recorder._references)]
        print(sizes, len(writer._known), len(recorder.opened), len(recorder.events))
        from dbdoctor.recorder import recorder as module
        engine = made()
        use = {}
        for number in range(5000):
            exec(f"def use{number}(engine):\\n    engine.raw_connection().close()", use)
            use[f"use{number}"](engine)
        print(len(recorder.sites.frames), len(recorder.sites._numbers), len(recorder.sites._codes))
        recording.writer.pause()
        recorder.asleep = False
        recorder.finished.extend([(1, 2, 3, 1, 1, 1)] * module.MOST_FINISHED)
        for _ in range(7):
            engine.connect().close()
        print(len(recorder.finished) >= module.MOST_FINISHED, recorder.lost)
        recorder.asleep = True
    """
    done = run(text, tmp_path / "out")
    assert (done.code, done.errors) == (0, "")
    kept, sites, full = done.output.splitlines()
    assert kept == "[0, 0, 0, 0] 0 0 0"
    assert [int(number) for number in sites.split()] == [4097, 4096, 4096]
    assert full == "True 7"
    assert sum(line["lost"] for line in done.all("lost")) == 7


def test_the_garbage_collector_may_return_connections_anywhere(tmp_path: Path) -> None:
    """Checkins run in the middle of code of ours, the writer's thread included: no deadlock, and none is lost."""
    text = """
        record(leak_after=0.05)
        engine = made(pool_size=50, max_overflow=1000)
        engine.connect().close()
        counts = []
        def leak():
            count = 0
            until = time.monotonic() + 3
            while time.monotonic() < until:
                knot = [engine.raw_connection()]
                knot.append(knot)
                count += 1
                if count % 50 == 0:
                    time.sleep(0.001)
            counts.append(count)
        gc.set_threshold(40, 2, 2)
        threads = [threading.Thread(target=leak) for _ in range(3)]
        for one in threads:
            one.start()
        until = time.monotonic() + 3
        while time.monotonic() < until:
            recording.writer.flush()
        for one in threads:
            one.join()
        del threads, one
        gc.collect()
        print(sum(counts) + 1, recording.recorder.disabled)
    """
    done = run(text, tmp_path / "out", "-W", "ignore")
    assert (done.code, done.errors) == (0, "")
    count, disabled = done.output.split()
    assert disabled == "None"
    assert done.ended == int(count)
    assert not [line for line in done.all("closed") if line["how"] == "lost"]
