"""Whether an hour of `leaks --watch` stays the same size, with hundreds of sessions coming and going.

Run by hand: python -m tests.benchmarks.watch_soak [--minutes 60] [--sessions 500] [--applications 10] [--terminal] [--compressed]

For real: `dbdoctor leaks --watch --interval 1s` beside such a server; prints its RSS every so often, the slope after the
first ten minutes (or the first sixth), and asserts that it keeps to one session.
Compressed: the same looks, history and judgement in this process as fast as they go, 60 ticks for a minute; what the
server says is real, and its times are stretched so that a second passes from one look to the next.
"""

from __future__ import annotations

import argparse
import bisect
import time
from collections.abc import Sequence
from pathlib import Path

from dbdoctor.model.session import Detail, Identity, Session
from dbdoctor.model.snapshot import Snapshot
from tests.benchmarks.leaks_cost import many_sessions, watching
from tests.leaks.fleet import RunningProgram
from tests.replacing import replace
from tests.servers.postgresql import PostgresServer

ALLOWED_GROWTH = 5.0
OURS = "select count(*) from pg_stat_activity where application_name = 'dbdoctor'"

Point = tuple[float, float]


def rss(pid: int | str) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} has ended")


def slope(points: Sequence[Point]) -> float:
    """MB an hour, by least squares over (seconds, MB)."""
    middle = sum(at for at, _ in points) / len(points), sum(size for _, size in points) / len(points)
    spread = sum((at - middle[0]) ** 2 for at, _ in points)
    return 3600 * sum((at - middle[0]) * (size - middle[1]) for at, size in points) / spread if spread else 0.0


def conclude(points: Sequence[Point]) -> None:
    """Prints what came after the beginning, and asserts that it is flat."""
    begun = min(600.0, points[-1][0] / 6)
    later = [point for point in points if point[0] >= begun]
    sizes = [size for _, size in later]
    growth = slope(later) * (later[-1][0] - later[0][0]) / 3600
    print(
        f"after the first {begun:.0f} s: {sizes[0]:.1f} MB -> {sizes[-1]:.1f} MB, {min(sizes):.1f} to {max(sizes):.1f}; "
        f"slope {slope(later):+.2f} MB an hour"
    )
    assert growth <= ALLOWED_GROWTH, f"grew by {growth:.1f} MB"
    assert max(sizes) - sizes[0] <= ALLOWED_GROWTH, f"from {sizes[0]:.1f} to {max(sizes):.1f} MB"


def soak(server: PostgresServer, minutes: float, *, terminal: bool) -> None:
    """For real, at one look a second."""
    points: list[Point] = []
    with watching(server.dsn(), terminal=terminal) as (pid, counted):
        started, every = time.monotonic(), min(30.0, minutes * 60 / 20)
        while (passed := time.monotonic() - started) < minutes * 60:
            time.sleep(every)
            points.append((passed + every, rss(pid)))
            ours = server.execute(OURS)[0][0]
            print(
                f"{points[-1][0]:6.0f} s {points[-1][1]:7.1f} MB, {counted[0]} bytes, {ours} session of ours",
                flush=True,
            )
            assert ours == 1, f"{ours} sessions of ours"
    conclude(points)


class Stretched:
    """The server's times as if one second had passed from each look to the next; what was before stays."""

    def __init__(self) -> None:
        self._real: list[float] = []
        self._start = 0.0

    def looked(self, at: float) -> None:
        """There was a look at this time."""
        self._start = self._start or at
        self._real.append(max(at, self._real[-1] + 1e-6) if self._real else at)

    def time(self, real: float | None) -> float | None:
        """When that was."""
        if real is None or real <= self._start:
            return real
        after = min(bisect.bisect_left(self._real, real), len(self._real) - 1)
        before = self._real[after - 1]
        return self._start + after - 1 + min(1.0, (real - before) / (self._real[after] - before))

    def session(self, session: Session) -> Session:
        """Its times as they would have been."""
        return session._replace(
            started_at=self.time(session.started_at),
            changed_at=self.time(session.changed_at),
            transaction_at=self.time(session.transaction_at),
            statement_at=self.time(session.statement_at),
        )

    def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """All its times as they would have been."""

        def detail(detail: Detail) -> Detail:
            return detail._replace(changed_at=self.time(detail.changed_at))

        return replace(
            snapshot,
            at=self.time(snapshot.at) or snapshot.at,
            sessions=tuple(self.session(session) for session in snapshot.sessions),
            details={pid: detail(found) for pid, found in snapshot.details.items()},
            waiters=tuple(waiter._replace(since=self.time(waiter.since)) for waiter in snapshot.waiters),
        )


def compressed(server: PostgresServer, holders: Sequence[RunningProgram], minutes: float) -> None:
    """As fast as it goes."""
    from dbdoctor.cli.leaks_run import settle_memory
    from dbdoctor.history import History
    from dbdoctor.model.leaks import LeaksReport, WatchOptions
    from dbdoctor.render.leaks_json import event_json, leaks_json
    from dbdoctor.rules.sessions import judge_leaks
    from dbdoctor.targets.parse import parse_dsn
    from dbdoctor.watch.client_side import ClientSide
    from dbdoctor.watch.events import events_between
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    source, stretched, history = PostgresqlSource(parse_dsn(server.dsn())), Stretched(), History(WatchOptions())
    facts = source.open(10.0)
    client_side = ClientSide(source.target, lambda: facts, lambda: source.own_connection)
    report: LeaksReport | None = None
    points: list[Point] = []
    known: set[Identity] = set()
    wrote, opened, started = 0, 0, time.monotonic()
    for tick in range(int(minutes * 60) + 1):
        for holder in holders:
            holder.go()
        looked = source.look(10.0, thorough=tick % 10 == 0)
        stretched.looked(looked.at)
        wanted = history.wanted(stretched.snapshot(looked))
        if wanted:
            looked = source.explain(looked, wanted, 10.0)
        history.add(stretched.snapshot(client_side.enrich(looked, thorough=tick % 10 == 0)))
        if not tick:
            settle_memory()
        now = {session.identity for session in looked.sessions}
        opened, known = opened + len(now - known), now
        before, report = report, judge_leaks(history, source.target, facts, with_sessions=False)
        wrote += len(leaks_json(report)) + sum(len(event_json(event)) for event in events_between(before, report))
        if tick and tick % 60 == 0:
            points.append((float(tick), rss("self")))
        if tick and tick % 300 == 0:
            ours = server.execute(OURS)[0][0]
            print(
                f"{tick:6d} ticks {rss('self'):7.1f} MB, {opened} sessions came, {wrote / tick:.0f} bytes a tick, "
                f"{(time.monotonic() - started) / tick * 1000:.1f} ms a tick",
                flush=True,
            )
            assert ours == 1, f"{ours} sessions of ours"
    client_side.close()
    source.close()
    conclude(points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--applications", type=int, default=10, help="so many names they give themselves, in turn")
    parser.add_argument("--terminal", action="store_true", help="with its screen, on a pseudo-terminal")
    parser.add_argument("--compressed", action="store_true", help="as fast as it goes, in this process")
    arguments = parser.parse_args()
    pace = {"awaits_go": 1} if arguments.compressed else {"pause": 0.5}
    coming_and_going = {**pace, "applications": arguments.applications}
    with many_sessions(arguments.sessions, "sessions-that-come-and-go", **coming_and_going) as (server, holders):
        if arguments.compressed:
            compressed(server, holders, arguments.minutes)
        else:
            soak(server, arguments.minutes, terminal=arguments.terminal)


if __name__ == "__main__":
    main()
