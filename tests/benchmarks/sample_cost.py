"""What one sample of `leaks` costs the server and us, beside a plain GROUP BY over pg_stat_activity.

Run by hand: python -m tests.benchmarks.sample_cost [SESSIONS] [RUNS] [VERSION]. A server is started with so many sessions
(2,000 unless told), all idle after one statement. The questions run in turn, A B A B ...; the server's CPU is what the
kernel accounts to the process behind each connection (/proc/PID/schedstat), ours is this process's own, and the figures
are medians of the runs; ratios are taken pair by pair. Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dbdoctor.databases.postgresql_session_rows import SessionReader
from dbdoctor.databases.postgresql_sessions import look_question
from dbdoctor.databases.postgresql_text import message
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.source import Wanted
from tests.databases.asking import TRUST
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace
from tests.watch.looking import RawSession, source

GROUP_BY = "SELECT application_name, usename, datname, client_addr, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3, 4, 5"


class Cost(NamedTuple):
    """Seconds: the server's CPU, ours, and by the clock."""

    server: float
    client: float
    wall: float


def measure(source: PostgresqlSource, work: Callable[[], object]) -> Cost:
    session = source._connection._session
    assert session is not None
    accounts = Path(f"/proc/{session.backend_pid}/schedstat")
    before, cpu, started = int(accounts.read_text().split()[0]), time.process_time(), time.perf_counter()
    work()
    wall, client = time.perf_counter() - started, time.process_time() - cpu
    time.sleep(0.003)  # the server's process tidies up after its answer, and is accounted when it sleeps
    return Cost((int(accounts.read_text().split()[0]) - before) / 1e9, client, wall)


def compare(watcher: PostgresqlSource, plain: PostgresqlSource, runs: int) -> None:
    seen = watcher.look(10)

    def ask(text: str) -> list[object]:
        session = watcher._connection._session
        assert session is not None
        return list(login.run_rows(session, text, Deadline.after(10)))

    works: dict[str, Callable[[], object]] = {
        "GROUP BY over pg_stat_activity": lambda: ask(GROUP_BY),
        "the question for all of it": lambda: ask(message(look_question(), 9)),
        "look for the first time": lambda: look_afresh(watcher),
        "look, as a member of pg_monitor": lambda: watcher.look(10),
        "look, thorough": lambda: watcher.look(10, thorough=True),
        "explain 20 sessions, and who waits": lambda: explain(watcher, seen, 20),
        "explain 200 sessions, and who waits": lambda: explain(watcher, seen, 200),
        "look, as an ordinary role": lambda: plain.look(10),
    }
    sources = {name: plain if "ordinary" in name else watcher for name in works}
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for run in range(runs + 3):
        for name, work in works.items():
            cost = measure(sources[name], work)
            if run >= 3:
                costs[name].append(cost)
    base = costs["GROUP BY over pg_stat_activity"]
    print(f"{'milliseconds':<38}   server  ratio    clock  ratio     ours")
    for name, column in costs.items():
        server, client, wall = (statistics.median(values) * 1000 for values in zip(*column, strict=True))
        of_server = statistics.median(one.server / other.server for one, other in zip(column, base, strict=True))
        of_wall = statistics.median(one.wall / other.wall for one, other in zip(column, base, strict=True))
        print(f"{name:<38} {server:8.2f} {of_server:6.2f} {wall:8.2f} {of_wall:6.2f} {client:8.2f}")


def look_afresh(looking: PostgresqlSource) -> Snapshot:
    looking._reader, looking._last = SessionReader(), None
    return looking.look(10)


def explain(looking: PostgresqlSource, snapshot: Snapshot, count: int) -> Snapshot:
    return looking.explain(snapshot, Wanted(tuple(one.id for one in snapshot.sessions[:count]), blocking=True), 10)


def main() -> None:
    arguments = [*sys.argv[1:], *("2000", "25", "embedded")[len(sys.argv) - 1 :]]
    count, runs, version = int(arguments[0]), int(arguments[1]), arguments[2]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    settings: dict[str, str | int] = {"max_connections": count + 50, "log_connections": "off"}
    try:
        with PostgresServer(version, hba=TRUST, settings=settings) as server, contextlib.ExitStack() as stack:
            server.execute("CREATE ROLE app LOGIN")
            server.execute("CREATE ROLE other LOGIN")
            server.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
            for number in range(count):
                opened = stack.enter_context(RawSession(server, application_name=f"worker-{number % 30:02}"))
                opened.run(b"SELECT 1")
            print(f"{count:,} idle sessions on PostgreSQL {server.version}, {runs} runs")
            with source(server) as watcher, source(server, "app") as plain:
                compare(watcher, plain, runs)
    finally:
        workspace().close()


if __name__ == "__main__":
    main()
