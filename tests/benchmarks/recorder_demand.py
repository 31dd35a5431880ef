"""The demand that `recommend` reads out of a recording, beside what the program's stopwatch and the server saw of the same run.

Run by hand: python -m tests.benchmarks.recorder_demand [SECONDS] [RUNS]. A program of three processes (two with threads, one
with asyncio's tasks) on a real PostgreSQL, under `dbdoctor run`. The stopwatch is the program's own, around each checkout; the
server's column is a sequence of which each checkout takes one, and how long its sessions were in transactions. Nothing is
asserted.
"""

from __future__ import annotations

import sys

from tests.recorder.outside import Seen, demand_of, see
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace

FIGURES = (
    "processes", "checkouts", "rate_per_second", "use_seconds", "load", "peak_load", "most_at_once", "waited_share",
)  # fmt: skip


def show(seen: Seen) -> None:
    """One run as a table."""
    outside = demand_of(seen.timed)
    use = seen.server_use / seen.server_checkouts
    server = {
        "checkouts": seen.server_checkouts,
        "rate_per_second": seen.server_checkouts / outside["span_seconds"] / outside["processes"],
        "use_seconds": use,
    }
    print(f"{'':16} {'recorded':>12} {'stopwatch':>12} {'differs':>9} {'server':>12} {'differs':>9}")
    for name in FIGURES:
        recorded = seen.recorded["demand"][name]
        print(f"{name:16} {recorded:12.6g}", _beside(recorded, outside[name]), _beside(recorded, server.get(name)))
    sizes = [
        f"{one['settings']['pool_size']} + {one['settings']['max_overflow']}" for one in (seen.recorded, seen.replayed)
    ]
    print(f"{'recommended':16} {sizes[0]:>12} {sizes[1]:>12}")
    print()


def _beside(recorded: float, other: float | None) -> str:
    return f"{'':22}" if other is None else f"{other:12.6g} {recorded / other - 1:+9.2%}"


def main() -> None:
    seconds, runs = (float(given) for given in (*sys.argv[1:3], *("20", "3")[len(sys.argv) - 1 :]))
    try:
        with PostgresServer("embedded") as server:
            for _ in range(int(runs)):
                show(see(server, workspace().directory("demand", mode=0o755), seconds))
    finally:
        workspace().close()


if __name__ == "__main__":
    main()
