"""The file of a process is bounded: the older half is put aside, and each part can be read alone."""

from __future__ import annotations

from pathlib import Path

from dbdoctor.traces.summary import summarise
from tests.recorder.test_harmless import run

MOST = 60_000

# Two connections are held from the beginning; the writer writes after each hundred checkouts, as it does in time.
PROGRAM = """
record(leak_after=0.01, most_bytes={most})
engine = made(pool_size=5)
taken = [engine.connect(), engine.connect()]
time.sleep(0.02)
recording.writer.flush()
def use():
    engine.connect().close()
def use_too():
    engine.connect().close()
for number in range({rounds}):
    for _ in range(50):
        use()
        use_too()
    recording.writer.flush()
    if number == {rounds} - 1:
        taken.pop().close()
"""


def test_it_is_bounded_and_the_newest_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(PROGRAM.format(most=MOST, rounds=60), out)
    assert (done.code, done.errors) == (0, "")
    files = list(out.iterdir())
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= MOST
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    older, newer = sorted(done.files, key=lambda lines: int(lines[0]["part"]))
    assert newer[0]["part"] == older[0]["part"] + 1 > 3
    assert newer[0]["began"] == older[0]["began"]
    assert newer[-1]["how"] == "exit"
    # Nothing is missing from one part to the next, and nothing is there twice.
    arrivals = [line[0] for part in (older, newer) for line in part if isinstance(line, list)]
    assert arrivals == sorted(set(arrivals))


def test_each_part_can_be_read_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(PROGRAM.format(most=MOST, rounds=60), out)
    for lines in done.files:
        objects = [line for line in lines if isinstance(line, dict)]
        sites = {line["site"] for line in objects if "frames" in line}
        pools = {line["pool"] for line in objects if "class" in line}
        connections = {line["connection"]: line["pool"] for line in objects if "driver" in line}
        opened = [line for line in objects if "open" in line]
        held = {line["held"]: line["at"] for line in objects if "held" in line}
        rows = [line for line in lines if isinstance(line, list)]
        assert rows
        assert {row[3] for row in rows} | {line["site"] for line in opened} <= sites
        assert {row[4] for row in rows} | {line["connection"] for line in opened} <= connections.keys()
        assert set(connections.values()) <= pools
        assert [line["open"] for line in opened] == [1, 2]
        assert held.keys() == {1, 2}
        assert min(held.values()) > 0
    files = sorted(out.iterdir())
    for paths in ([files[0]], [files[1]], files):
        summary = summarise(paths)
        assert not [note for note in summary.notes if "could not be read" in note]
    (closed,) = done.all("closed")
    assert closed["how"] == "returned"


def test_a_whole_buffer_at_once_stays_readable(tmp_path: Path) -> None:
    """More in one go than a file may hold: it is written whole, and the next begins another."""
    text = """
        record(most_bytes=20_000)
        engine = made(pool_size=5)
        recording.recorder.asleep = False  # nobody writes until the end of each round
        for _ in range(3):
            for _ in range(2000):
                engine.connect().close()
            recording.writer.flush()
        recording.recorder.asleep = True
    """
    done = run(text, tmp_path / "out")
    assert (done.code, done.errors) == (0, "")
    assert [len([line for line in lines if isinstance(line, list)]) for lines in done.files] == [2000, 2000]
