"""The demand of a real program as three see it: the recorder, the program's own stopwatch, and the server."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from tests.recorder.running import run_program
from tests.servers.cli import run_dbdoctor
from tests.servers.postgresql import PostgresServer

PROGRAM = Path(__file__).parent / "programs" / "demand.py"
DATABASE = "demand"


class Timed(NamedTuple):
    """One checkout by the program's stopwatch, in seconds."""

    arrival: float
    wait: float
    use: float
    process: int


@dataclass(frozen=True)
class Seen:
    """`recorded` and `replayed` are what `recommend` says of the recording, and of the stopwatch's CSV; `timed` that CSV.

    `server_checkouts` is how many the server counted, `server_use` for how many seconds its sessions were in transactions.
    """

    recorded: dict[str, Any]
    replayed: dict[str, Any]
    timed: list[Timed]
    server_checkouts: int
    server_use: float


def see(server: PostgresServer, place: Path, seconds: float) -> Seen:
    """Run the program under `dbdoctor run` on a database of its own for about so many seconds."""
    watched, out = place / "watched", place / "out"
    watched.mkdir()
    with _database(server):
        url = server.dsn(scheme="postgresql+psycopg2", dbname=DATABASE)
        result = run_program(sys.executable, PROGRAM, watched, url, str(seconds), out=out, timeout=seconds + 60)
        assert result.exit_code == 0, result.stderr
        checkouts, use = _by_the_server(server)
    timed = [one for file in sorted(watched.iterdir()) for one in _read(file)]
    together = place / "timed.csv"
    with together.open("w", newline="") as file:
        csv.writer(file).writerows([Timed._fields, *timed])
    return Seen(_recommended(out), _recommended(together), timed, checkouts, use)


@contextlib.contextmanager
def _database(server: PostgresServer) -> Iterator[None]:
    server.execute(f"create database {DATABASE}")
    try:
        server.execute("create sequence taken", dbname=DATABASE)
        yield
    finally:
        server.execute(f"drop database {DATABASE} with (force)")


def _by_the_server(server: PostgresServer) -> tuple[int, float]:
    """Checkouts, and seconds in transactions: sessions tell the statistics of theirs when they end."""
    ((checkouts,),) = server.execute("select last_value from taken", dbname=DATABASE)
    times = "select active_time + idle_in_transaction_time from pg_stat_database where datname = %s"
    ((milliseconds,),) = server.execute(times, [DATABASE])
    return int(checkouts), float(milliseconds) / 1000


def _read(file: Path) -> list[Timed]:
    with file.open(newline="") as lines:
        rows = csv.DictReader(lines)
        return [Timed(float(r["arrival"]), float(r["wait"]), float(r["use"]), int(r["process"])) for r in rows]


def _recommended(trace: Path) -> dict[str, Any]:
    result = run_dbdoctor("recommend", "--offline", "--trace", trace, "--json", timeout=60)
    assert result.exit_code in {0, 1}, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def processes_of(timed: Sequence[Timed]) -> dict[int, list[Timed]]:
    """By process."""
    found: dict[int, list[Timed]] = {}
    for one in timed:
        found.setdefault(one.process, []).append(one)
    return found


def demand_of(timed: Sequence[Timed]) -> dict[str, float]:
    """The figures of `recommend`'s `demand`, reckoned plainly from the stopwatch and by nothing of ours."""
    each = processes_of(timed).values()
    first, last = min(one.arrival for one in timed), max(sum(one[:3]) for one in timed)
    use = sum(one.use for one in timed) / len(timed)
    loads = [
        (len(own), sum(one.use for one in own) / (max(sum(one[:3]) for one in own) - min(one.arrival for one in own)))
        for own in each
    ]
    return {
        "processes": len(each),
        "checkouts": len(timed),
        "span_seconds": last - first,
        "rate_per_second": len(timed) / (last - first) / len(each),
        "use_seconds": use,
        "wait_seconds": sum(one.wait for one in timed) / len(timed),
        "load": sum(count * load for count, load in loads) / len(timed),
        "peak_load": max(_busiest(own, first) for own in each) * use,
        "most_at_once": max(map(_most_at_once, each)),
        "waited_share": sum(one.wait > 0.001 for one in timed) / len(timed),
    }


def _busiest(own: Sequence[Timed], first: float) -> int:
    return max(Counter(math.floor(one.arrival - first) for one in own).values())


def _most_at_once(own: Sequence[Timed]) -> int:
    steps = sorted([(one.arrival, 1) for one in own] + [(sum(one[:3]), -1) for one in own])
    return max(accumulate(step for _, step in steps))
