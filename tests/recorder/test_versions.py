"""What the recorder sees of a program is what the program did: with SQLAlchemy 1.4 to 2.1, its pools and drivers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "python"
PROGRAM = Path(__file__).parent / "programs" / "shop.py"
VERSIONS = ("1.4", "2.0", "2.1")
TAKEN = {
    text.rpartition("take: ")[2]: number
    for number, text in enumerate(PROGRAM.read_text().splitlines(), 1)
    if "  # " in text and "take: " in text
}


class Seen(NamedTuple):
    """What the program says of itself, and the recorder's lines of it."""

    facts: dict[str, Any]
    lines: list[Any]

    def all(self, key: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if isinstance(line, dict) and key in line]

    @property
    def sites(self) -> dict[int, list[Any]]:
        return {line["site"]: line["frames"] for line in self.all("frames")}

    @property
    def rows(self) -> list[list[int]]:
        """Finished checkouts; those that were written as open too."""
        closed = {line["closed"]: line for line in self.all("closed")}
        rows = [line for line in self.lines if isinstance(line, list)]
        for line in self.all("open"):
            end = closed[line["open"]]
            assert end["how"] == "returned"
            rows.append([line["at"], line["wait"], end["use"], line["site"], line["connection"], line["thread"]])
        return rows

    def counted(self) -> Counter[str]:
        """Checkouts by where they were taken; each must be at one of the lines that say so, in the program's own file."""
        names = {number: name for name, number in TAKEN.items()}
        found: Counter[str] = Counter()
        for row in self.rows:
            frames = self.sites[row[3]]
            assert frames[0][0] == str(PROGRAM), frames
            # The line of an `outer` one is the caller's, since `pid` is where the session asks.
            found[names.get(frames[0][1]) or names[frames[1][1]]] += 1
        return found


def run(place: Path, scenario: str, url: str, version: str = "2.1", *packages: str) -> Seen:
    paths = [CACHE / f"sqlalchemy-{version}"] if version != "2.1" else []
    paths += [CACHE / name for name in packages]
    out = place / "out"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))),
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    }
    words = [sys.executable, str(PROGRAM), str(out), url, scenario]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=place)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (file,) = out.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["sqlalchemy"].startswith(version)
    assert lines[-1]["how"] == "exit"
    seen = Seen(json.loads(done.stdout), lines)
    assert not seen.all("disabled")
    assert not seen.all("lost")
    return seen


def check_times(seen: Seen) -> None:
    (line,) = (TAKEN[name] for name in ("timed", "async-timed") if name in seen.facts["taken"])
    (row,) = (row for row in seen.rows if seen.sites[row[3]][0][1] == line)
    ((least_wait, most_wait, least_use, most),) = seen.facts["timed"]
    wait, use = row[1] / 1e6, row[2] / 1e6
    assert least_wait <= wait <= most_wait
    assert least_use <= use <= most - wait
    assert use >= 0.2


def check_sessions(seen: Seen) -> None:
    connections = seen.all("connection")
    opened = {line["connection"]: line["session"] for line in seen.all("driver")}
    assert None not in opened.values()
    assert set(opened.values()) >= set(seen.facts["pids"])
    assert {line["connection"] for line in connections} >= {row[4] for row in seen.rows}


DRIVERS = [
    *((version, "psycopg2") for version in VERSIONS),
    *((version, "psycopg") for version in ("2.0", "2.1")),
]


@pytest.mark.parametrize(("version", "driver"), DRIVERS)
def test_every_checkout_is_counted_where_it_was_taken(postgres, tmp_path: Path, version: str, driver: str) -> None:
    url = postgres.dsn(scheme=f"postgresql+{driver}")
    seen = run(tmp_path, "sync", url, version, *(["psycopg"] if driver == "psycopg" else []))
    assert seen.counted() == seen.facts["taken"]
    check_times(seen)
    check_sessions(seen)
    assert all(line["driver"] == driver for line in seen.all("driver"))
    assert {line["server"]["port"] for line in seen.all("driver")} == {postgres.port}
    assert len(seen.all("class")) == 1


ASYNC_DRIVERS = [("1.4", "asyncpg"), ("2.0", "asyncpg"), ("2.1", "asyncpg"), ("2.0", "psycopg"), ("2.1", "psycopg")]


@pytest.mark.parametrize(("version", "driver"), ASYNC_DRIVERS)
def test_so_it_is_with_asyncio(postgres, tmp_path: Path, version: str, driver: str) -> None:
    url = postgres.dsn(scheme=f"postgresql+{driver}")
    seen = run(tmp_path, "asynchronous", url, version, *(["psycopg"] if driver == "psycopg" else []))
    assert seen.counted() == seen.facts["taken"]
    check_times(seen)
    check_sessions(seen)


@pytest.mark.parametrize("version", VERSIONS)
def test_so_it_is_with_gevent(tmp_path: Path, version: str) -> None:
    seen = run(tmp_path, "gevent", f"sqlite:///{tmp_path}/shop.db", version, "gevent")
    assert seen.counted() == seen.facts["taken"]
    assert len({row[5] for row in seen.rows}) == 20


@pytest.mark.parametrize("version", VERSIONS)
def test_events(postgres, tmp_path: Path, version: str) -> None:
    seen = run(tmp_path, "events", postgres.dsn(scheme="postgresql+psycopg2"), version)
    frames = seen.sites
    opened = {number: [line for line in seen.all("driver") if line["pool"] == number] for number in (1, 2, 3)}
    assert [line["because"] for line in opened[1]] == [None, "invalidated", "invalidated", None, None, None]
    # Two of the overflow; the last is the one after that which was detached.
    assert [line["overflow"] for line in opened[1]] == [False] * 3 + [True] * 2 + [False]
    assert [line["because"] for line in opened[2]] == [None, "recycle"]
    (timeout,) = seen.all("timeout")
    assert seen.facts["refused"]
    assert frames[timeout["site"]][0][1] == TAKEN["refused"]
    assert [frames[one[0]][0][1] for one in timeout["holders"]] == [TAKEN["holder"]] * 3
    assert sorted(one[2] for one in timeout["holders"]) == [line["connection"] for line in opened[1][2:5]]
    assert timeout["wait"] >= 200_000
    told = Counter(line["event"] for line in seen.all("event"))
    assert told["invalidate"] == told["soft-invalidate"] == told["detach"] == 1
    (garbage,) = (line for line in seen.all("closed") if line["how"] == "garbage-collected")
    (taken,) = (line for line in seen.all("open") if line["open"] == garbage["closed"])
    assert frames[taken["site"]][0][1] == TAKEN["garbage"]
    assert sum(line["how"] == "detached" for line in seen.all("closed")) == 1
    (failed,) = seen.all("failed")
    assert frames[failed["site"]][0][1] == TAKEN["failed"]
    assert failed["pool"] == 3
    # Every connection has ended, and is told so once.
    ends = [line["connection"] for line in seen.all("event") if line["event"] in ("close", "detach", "invalidate")]
    assert sorted(ends) == sorted(line["connection"] for line in seen.all("driver"))


@pytest.mark.parametrize("version", VERSIONS)
def test_pool_classes(tmp_path: Path, version: str) -> None:
    seen = run(tmp_path, "pools", "sqlite://", version)
    classes = {line["pool"]: line["class"] for line in seen.all("class")}
    pool_of = {line["connection"]: line["pool"] for line in seen.all("driver")}
    found = Counter(classes[pool_of[row[4]]] for row in seen.rows)
    found["SingletonThreadPool"] -= 1
    assert found == {name: seen.facts["taken"][name] for name in set(classes.values())}
    assert len(classes) == 5
    assert [row[3] for row in seen.rows if seen.sites[row[3]][0][1] == TAKEN["outer"]] != []
    assert [line["lifo"] for line in seen.all("class")] == [None] * 4 + [True]
    ends = [line["connection"] for line in seen.all("event") if line["event"] == "close"]
    assert sorted(ends) == sorted(pool_of)
