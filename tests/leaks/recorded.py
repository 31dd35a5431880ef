"""The labelled programs with the recorder in them: whether each leak's own line of code is named, and no healthy one's.

By hand: python -m tests.leaks.recorded [--first] [--second] [--unseen] [--only NAME...] [--report FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import linecache
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.leaks.fleet import Fleet
from tests.leaks.measure import IDLE_IN_TRANSACTION, RANK, owner_of, psql_program
from tests.leaks.place import DATABASE, PASSWORD, ROLE, SETTINGS, furnish
from tests.leaks.programs.everything import FIRST, PROGRAMS, SECOND, UNSEEN
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace

LEAK_AFTER = 20.0
"""Longer than any healthy program pauses (15 s), so that nothing but leaks is unused for so long (seconds)."""

_CONNECT = "connection = engine.connect()"
_BEGIN = "with engine.begin() as connection:"
_OWN = "connection = host.engine().connect()"
# The function and the beginning of the line that took what is leaked.
LINES = {
    "autocommit-forgotten": ("autocommit_forgotten", _CONNECT),
    "engine-per-request-kept": ("engine_per_request_kept", _BEGIN),
    "engine-per-request-dropped": ("engine_per_request_dropped", _BEGIN),
    "engines-of-ended-threads": ("job", _BEGIN),
    "more-than-declared": ("more_than_declared", _CONNECT),
    "checkout-kept-after-select": ("checkout_kept_after_select", _CONNECT),
    "sessions-never-closed": ("sessions_never_closed", "session.execute("),
    "insert-never-committed": ("insert_never_committed", _CONNECT),
    "failed-statement-kept": ("failed_statement_kept", _CONNECT),
    "snapshot-kept": ("snapshot_kept", _CONNECT),
    "cursor-abandoned": ("cursor_abandoned", _CONNECT),
    "row-lock-kept": ("row_lock_kept", _CONNECT),
    "pool-leaked-dry": ("pool_leaked_dry", _CONNECT),
    "error-path": ("serve", _CONNECT),
    "error-path-rolled-back": ("serve", _CONNECT),
    "transaction-across-remote-calls": ("order", _BEGIN),
    "daemon-in-one-transaction": ("daemon_in_one_transaction", _CONNECT),
    "one-kept-in-a-busy-pool": ("one_kept_in_a_busy_pool", _CONNECT),
    "kept-after-select-1": ("kept_after_select_1", _OWN),
    "engine-per-job-slowly": ("job", _BEGIN),
    "async-sessions-never-closed": ("serve", "await session.execute("),
    "forgotten-after-a-savepoint": ("forgotten_after_a_savepoint", _OWN),
    "scoped-sessions-of-ended-threads": ("work", "sessions.execute("),
    "job-that-forgot-to-commit": ("job_that_forgot_to_commit", _OWN),
    "reads-across-slow-calls": ("work", _BEGIN),
    "one-worker-of-four-leaks": ("web_worker_that_leaks", _CONNECT),
    "kept-after-rollback": ("kept_after_rollback", _CONNECT),
    "results-in-a-cache": ("results_in_a_cache", "connection = engine.connect().execution_options("),
    "checkout-without-sql": ("checkout_without_sql", "host.kept.append(engine.connect())"),
    "autocommit-kept": ("autocommit_kept", _CONNECT),
    "kept-after-rollback-once": ("kept_after_rollback_once", _CONNECT),
}
# They have no SQLAlchemy in them, so there is nothing to record; and the last one's process died in the moment in which it
# prepared, before anything was written down.
NOTHING_RECORDED = frozenset({"raw-connections-never-used", "raw-connections-after-a-query", "two-phase-forgotten"})


@dataclass(frozen=True)
class Named:
    """One program: its worst verdict, and the lines of code that were named for it (function, text of the line)."""

    name: str
    leaks: bool
    verdict: str
    lines: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    beside: bool

    @property
    def right(self) -> bool:
        """Judged as it is, and exactly its own line named; a healthy one's never."""
        if not self.leaks:
            return RANK[self.verdict] < RANK["suspect"] and not self.lines and not self.beside
        if self.verdict != "leak":
            return False
        if self.name in NOTHING_RECORDED:
            return not self.lines
        function, text = LINES[self.name]
        return bool(self.lines) and all(one[0] == function and one[1].startswith(text) for one in self.lines)


@dataclass(frozen=True)
class Recorded:
    """One watch over all of them, with their recorders' files in `place`."""

    named: tuple[Named, ...]
    strays: tuple[str, ...]
    report: dict[str, Any]
    result: Result
    place: Path

    def wrong(self) -> list[Named]:
        """The programs that were misjudged, or whose line was not named."""
        return [one for one in self.named if not one.right]

    def table(self) -> str:
        """A line for each program."""
        lines = [f"{'program':<36} {'label':<8} {'verdict':<8}     named"]
        for one in self.named:
            label = "leak" if one.leaks else "healthy"
            places = "; ".join(one.places) or ("opened beside the pools" if one.beside else "")
            lines.append(f"{one.name:<36} {label:<8} {one.verdict:<8} {'  ' if one.right else '! '}  {places}".rstrip())
        lines += [f"of no program: {stray}" for stray in self.strays]
        leaking = [one for one in self.named if one.leaks]
        with_line = sum(bool(one.lines) for one in leaking)
        healthy = sum(bool(one.lines) for one in self.named if not one.leaks)
        lines.append(
            f"{with_line} of {len(leaking)} leaks with their line of code, {healthy} healthy programs with one; "
            f"{len(self.named) - len(self.wrong())} of {len(self.named)} as they should be"
        )
        return "\n".join(lines)


def measure_recorded(server: PostgresServer, names: Sequence[str], *, seconds: float = 24.0) -> Recorded:
    """Furnishes an empty server, starts the programs with the recorder, and looks when leaks have lasted for long enough."""
    dsn = furnish(server, PROGRAMS)
    place = workspace().directory("recordings", mode=0o755)
    with contextlib.ExitStack() as stack:
        pooler = stack.enter_context(PgBouncer(server.port, users={ROLE: PASSWORD}))
        fleet = Fleet(
            dsn,
            names,
            pooler_dsn=pooler.dsn(user=ROLE, dbname=DATABASE),
            pooler_pid=pooler.pid,
            psql=psql_program(),
            record=place,
            leak_after=LEAK_AFTER,
        )
        stack.enter_context(fleet)
        fleet.go()
        # What it waits for is that leaks get old; nothing else tells that they are.
        time.sleep(max(0.0, LEAK_AFTER - seconds + 3.0))
        owners = fleet.owners()
        result = run_dbdoctor(
            *("leaks", dsn, "--no-config", "--for", f"{seconds:g}s", "--interval", "1s", "--json", "--sessions"),
            *("--idle-in-transaction", f"{IDLE_IN_TRANSACTION:g}s", "--trace", place),
            timeout=seconds + 60,
        )
        owners.update(fleet.owners())
        fleet.assert_running()
    assert result.exit_code in {0, 1}, f"{result.exit_code}: {result.stdout}{result.stderr}"
    return _judge(names, json.loads(result.stdout), owners, result, place)


def _judge(
    names: Sequence[str], report: dict[str, Any], owners: dict[int, str], result: Result, place: Path
) -> Recorded:
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    strays = []
    for group in report["groups"]:
        name = owner_of(group, owners)
        if name in groups:
            groups[name].append(group)
        elif RANK[group["verdict"]] >= RANK["suspect"]:
            strays.append(json.dumps(group))
    named = [_named(name, found, report) for name, found in groups.items()]
    return Recorded(tuple(named), tuple(strays), report, result, place)


def _named(name: str, groups: Sequence[dict[str, Any]], report: dict[str, Any]) -> Named:
    held = [place for group in groups for place in group["held"]]
    verdict = max((group["verdict"] for group in groups), key=RANK.__getitem__, default="none")
    prepares = PROGRAMS[name].prepares
    if prepares is not None and any(prepares in json.dumps(finding) for finding in report["findings"]):
        verdict = "leak"
    lines = dict.fromkeys(
        (place["function"].rpartition(".")[2], linecache.getline(place["file"], place["line"]).strip())
        for place in held
        if not place["beside_the_pools"]
    )
    return Named(
        name,
        PROGRAMS[name].leaks,
        verdict,
        tuple(lines),
        tuple(dict.fromkeys(place["place"] for place in held if place["place"])),
        any(place["beside_the_pools"] for place in held),
    )


def _sets(arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    if arguments.only:
        yield tuple(arguments.only)
        return
    chosen = [(arguments.first, FIRST), (arguments.second, SECOND), (arguments.unseen, UNSEEN)]
    everything = not any(wanted for wanted, _ in chosen)
    yield from (names for wanted, names in chosen if wanted or everything)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", action="store_true", help="the first set of programs alone")
    parser.add_argument("--second", action="store_true", help="the second set alone")
    parser.add_argument("--unseen", action="store_true", help="those that no server can see alone")
    parser.add_argument("--only", nargs="*", default=(), help="these programs alone")
    parser.add_argument("--report", type=Path, help="keep the JSON there")
    arguments = parser.parse_args()
    try:
        for names in _sets(arguments):
            with PostgresServer("embedded", settings=SETTINGS) as server:
                recorded = measure_recorded(server, names)
            print(recorded.table(), flush=True)
            if arguments.report:
                arguments.report.write_text(json.dumps(recorded.report, indent=1))
    finally:
        workspace().close()


if __name__ == "__main__":
    main()
