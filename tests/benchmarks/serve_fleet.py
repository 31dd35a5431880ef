"""A fleet of targets of which some hang, as `dbdoctor serve` judges and shows it.

Run by hand: python -m tests.benchmarks.serve_fleet [TARGETS] [HANGING] [SECONDS] [INTERVAL] [SESSIONS]. Nothing is asserted.

TARGETS profiles of one config file; HANGING of them lead where nobody answers, half of them to a port that swallows
SYNs and half to one that accepts and is silent, the others to one real PostgreSQL that has SESSIONS sessions of
applications beside ours. For SECONDS the exporter is scraped once a second. Printed: how long a scrape took, how far apart
the answered looks of each target were, how many sessions of ours the server had at any time, and what it cost in memory,
threads, descriptors and CPU.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.leaks_cost import cpu_of
from tests.serve.serving import Serving, ask, series_of, serving, write_config
from tests.servers.network import black_hole
from tests.servers.postgresql import PostgresServer
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE
from tests.servers.workspace import workspace

OURS = "select count(*) from pg_stat_activity where application_name = 'dbdoctor'"


def status(pid: int) -> dict[str, int]:
    """Resident kilobytes and threads of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {line[0][:-1]: int(line[1]) for line in lines if line[0] in {"VmRSS:", "VmHWM:", "Threads:"}}


class Watched:
    """What was seen of the exporter, second by second."""

    def __init__(self, exporter: Serving, server: PostgresServer) -> None:
        self.exporter = exporter
        self.server = server
        self.scrapes: list[float] = []
        self.sizes: list[int] = []
        self.memory: list[int] = []
        self.ours: list[int] = []
        self.looks: dict[str, list[float]] = defaultdict(list)

    def look(self) -> None:
        """One scrape, measured; and what the kernel and the server say."""
        started = time.monotonic()
        text = ask(self.exporter.port, "/metrics").text
        self.scrapes.append(time.monotonic() - started)
        self.sizes.append(len(text))
        self.memory.append(status(self.exporter.running.process.pid)["VmRSS"])
        self.ours.append(self.server.execute(OURS)[0][0])
        for (name, labels), value in series_of(text).items():
            if name == "dbdoctor_last_look_timestamp_seconds":
                looks = self.looks[dict(labels)["target"]]
                if not looks or value > looks[-1]:
                    looks.append(value)

    def print(self) -> None:
        """The figures."""
        took = sorted(self.scrapes)
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        print(
            f"scrape    {len(took)} of {self.sizes[-1] / 1e6:.2f} MB: median {statistics.median(took) * 1e3:.1f} ms, "
            f"99 % {p99 * 1e3:.1f} ms, longest {took[-1] * 1e3:.1f} ms"
        )
        gaps = [b - a for looks in self.looks.values() for a, b in itertools.pairwise(looks)]
        fewest = min(len(looks) for looks in self.looks.values())
        print(
            f"looks     of {len(self.looks)} targets, {fewest} or more each; apart: median {statistics.median(gaps):.2f} s, "
            f"longest {max(gaps):.2f} s"
        )
        print(f"sessions  of ours on the server: at most {max(self.ours)}")
        third = len(self.memory) // 3
        print(
            f"memory    {self.memory[0] / 1024:.0f} MB at first, {self.memory[third] / 1024:.0f} MB after a third, "
            f"{self.memory[-1] / 1024:.0f} MB at the end, {max(self.memory) / 1024:.0f} MB at most"
        )


def run(targets: int, hanging: int, seconds: float, interval: float, sessions: int) -> None:
    """One run."""
    with contextlib.ExitStack() as stack:
        settings: dict[str, str | int] = {"max_connections": targets + sessions + 20, "log_connections": "off"}
        server = stack.enter_context(PostgresServer("embedded", settings=settings))
        for number in range(sessions):
            stack.enter_context(contextlib.closing(server.connect(application_name=f"app-{number % 10}")))
        swallows = stack.enter_context(black_hole())
        silent = stack.enter_context(FakeServer(CATALOGUE["silent"])).port
        profiles = {
            f"hangs-{n}": f"postgresql://app@127.0.0.1:{(swallows, silent)[n % 2]}/shop" for n in range(hanging)
        }
        profiles |= {f"good-{n}": server.dsn() for n in range(targets - hanging)}
        config = write_config(profiles)
        exporter = stack.enter_context(serving("--all", "--config", config, interval=f"{interval}s"))
        watched = Watched(exporter, server)
        pid = exporter.running.process.pid
        exporter.wait_for("dbdoctor_looks_total", 1.0, 60, outcome="answered", target=f"good-{targets - hanging - 1}")
        cpu, begun = cpu_of(pid), time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            watched.look()
            time.sleep(max(0.0, 1 - (time.monotonic() - begun - passed)))
        used = (cpu_of(pid) - cpu) / (time.monotonic() - begun)
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        up = sum(exporter.values("dbdoctor_up").values())
        print(
            f"targets   {targets}, {hanging} of them hang; {up:.0f} up; interval {interval:g} s; {sessions} sessions beside ours"
        )
        watched.print()
        print(f"threads   {status(pid)['Threads']}, descriptors {descriptors}, CPU {used * 100:.0f} % of one processor")
        result = exporter.end()
        print(f"the end   exit code {result.exit_code}; left of ours on the server: {server.execute(OURS)[0][0]}")


def main() -> None:
    given = [float(word) for word in sys.argv[1:]]
    targets, hanging, seconds, interval, sessions = given + [200.0, 40.0, 90.0, 15.0, 50.0][len(given) :]
    try:
        run(int(targets), int(hanging), seconds, interval, int(sessions))
    finally:
        workspace().close()


if __name__ == "__main__":
    main()
