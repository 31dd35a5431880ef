"""How well `leaks` tells the programs that leak from those that do not, all at once on one server.

By hand: python -m tests.leaks.measure [--nameless] [--for SECONDS] [--second] [--only NAME...] [--recording FILE] [--lives]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.leaks.fleet import Fleet
from tests.leaks.observer import Observer
from tests.leaks.place import DATABASE, PASSWORD, ROLE, SETTINGS, alone, furnish
from tests.leaks.programs.everything import FIRST, PROGRAMS, SECOND
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace

IDLE_IN_TRANSACTION = 5.0
RANK = {"none": -1, "ok": 0, "unknown": 1, "suspect": 2, "leak": 3}

# The pool that one of the applications declares; a target is an application's, and each looks at the whole server.
CONFIG = """
[targets.orders]
dsn = "{dsn}"
pool_size = 10
max_overflow = 5
"""


@dataclass(frozen=True)
class Judged:
    """One program, and what was said of it: the worst verdict of its groups, and whether the simple rule names it."""

    name: str
    leaks: bool
    verdict: str
    simple: bool
    reasons: tuple[str, ...] = ()

    def positive(self, least: str) -> bool:
        """Whether it is called a leak, when a verdict of `least` or worse is that."""
        return RANK[self.verdict] >= RANK[least]


@dataclass(frozen=True)
class Measured:
    """One watch over all of them. `strays` are positive groups that belong to no program."""

    judged: tuple[Judged, ...]
    strays: tuple[str, ...]
    observer: Observer
    report: dict[str, Any]
    result: Result
    recording: Path
    owners: dict[int, str]

    def f1(self, least: str) -> float:
        """Of dbdoctor, when a verdict of `least` or worse counts as "leak"; a stray counts as a false alarm."""
        return f1((one.leaks, one.positive(least)) for one in self.judged) if not self.strays else 0.0

    def f1_simple(self) -> float:
        """Of the rule "a session of it was idle in transaction for so many seconds"."""
        return f1((one.leaks, one.simple) for one in self.judged)

    def wrong(self, least: str = "suspect") -> list[Judged]:
        """The programs that were misjudged."""
        return [one for one in self.judged if one.leaks != one.positive(least)]

    def table(self) -> str:
        """A line for each program, and the figures."""
        lines = [f"{'program':<36} {'label':<8} {'verdict':<8} simple  reasons"]
        for one in self.judged:
            mark = "   " if one.leaks == one.positive("suspect") else " ! "
            label, simple = ("leak" if one.leaks else "healthy"), ("leak" if one.simple else "")
            lines.append(f"{one.name:<36} {label:<8} {one.verdict:<8} {simple:<4}{mark} {'; '.join(one.reasons)[:100]}")
        lines += [f"of no program: {stray}" for stray in self.strays]
        figures = ", ".join(f"{least} {self.f1(least):.2f}" for least in ("suspect", "leak"))
        lines.append(f"F1 by the verdict that counts: {figures}; of the simple rule {self.f1_simple():.2f}")
        lines.append(
            f"recording: {self.recording}; exit code {self.result.exit_code}; {self.result.cpu_seconds:.1f} s CPU"
        )
        return "\n".join(lines)

    def lives(self) -> str:
        """What the sessions of the misjudged programs did."""
        return "\n".join(f"{one.name} ({one.verdict}):\n{self.observer.life(one.name)}" for one in self.wrong())


def f1(answers: Iterable[tuple[bool, bool]]) -> float:
    """The harmonic mean of precision and recall, of (truth, answer)."""
    pairs = list(answers)
    right = sum(truth and answer for truth, answer in pairs)
    wrong = sum(truth != answer for truth, answer in pairs)
    return 2 * right / (2 * right + wrong) if right or wrong else 1.0


def measure(
    server: PostgresServer, *, nameless: bool = False, seconds: float = 24.0, names: Sequence[str] = ()
) -> Measured:
    """Furnishes an empty server, starts the programs, watches them, and maps each group to its program."""
    dsn = furnish(server, PROGRAMS)
    place = workspace().directory("measure", mode=0o755)
    config, recording = place / "config.toml", _recording(place, nameless)
    config.write_text(CONFIG.format(dsn=alone(dsn)))
    with PgBouncer(server.port, users={ROLE: PASSWORD}) as pooler:
        fleet = Fleet(
            dsn,
            names or FIRST,
            nameless=nameless,
            pooler_dsn=pooler.dsn(user=ROLE, dbname=DATABASE),
            pooler_pid=pooler.pid,
            psql=psql_program(),
        )
        with fleet:
            fleet.go()
            with Observer(dsn, fleet) as observer:
                result, owners = _watch(fleet, config, recording, seconds)
            fleet.assert_running()
    return _judge(fleet.names, observer, result, owners, recording)


def without_names(measured: Measured) -> Measured:
    """The same sessions judged once more, from the recording, as if none had given its application_name."""
    lines = measured.recording.read_text().splitlines()
    names = json.loads(lines[0])["columns"]["session"]
    column = names.index("application")
    nameless = measured.recording.with_suffix(".nameless.jsonl")
    nameless.write_text("\n".join([lines[0], *(_nameless(line, column, len(names)) for line in lines[1:]), ""]))
    try:
        result = run_dbdoctor("leaks", "--replay", nameless, "--json")
    finally:
        nameless.unlink()
    judged = [one.name for one in measured.judged]
    return _judge(judged, measured.observer, result, measured.owners, measured.recording)


def _nameless(line: str, column: int, columns: int) -> str:
    """That line of a recording; what is shorter than a row stands for rows of an earlier line."""
    value = json.loads(line)
    for row in value.get("sessions", ()):
        if len(row) == columns and row[column] in PROGRAMS:
            row[column] = ""
    return json.dumps(value)


def _recording(place: Path, nameless: bool) -> Path:
    path = (
        Path(os.environ.get("TMPDIR", "/tmp"))
        / f"dbdoctor-leaks-{'nameless' if nameless else 'named'}-{os.getpid()}.jsonl"
    )
    path.unlink(missing_ok=True)
    return path


def psql_program() -> Path | None:
    """The one of the embedded server, or the machine's."""
    from tests.servers.binaries import program

    found = program("embedded", "psql")
    return found if found.exists() else Path(machine) if (machine := shutil.which("psql")) else None


def _watch(fleet: Fleet, config: Path, recording: Path, seconds: float) -> tuple[Result, dict[int, str]]:
    """What dbdoctor said; and whose the processes were, those that came and went in the meantime too."""
    owners = fleet.owners()
    result = run_dbdoctor(
        *("leaks", "orders", "--config", config, "--for", f"{seconds:g}s", "--interval", "1s"),
        *("--idle-in-transaction", f"{IDLE_IN_TRANSACTION:g}s", "--json", "--record", recording),
        timeout=seconds + 60,
    )
    owners.update(fleet.owners())
    return result, owners


def _judge(
    names: Sequence[str], observer: Observer, result: Result, owners: dict[int, str], recording: Path
) -> Measured:
    assert result.exit_code in {0, 1}, f"{result.exit_code}: {result.stdout}{result.stderr}"
    assert observer.failure is None, observer.failure
    report = json.loads(result.stdout)
    verdicts = dict.fromkeys(names, "none")
    reasons: dict[str, list[str]] = {name: [] for name in names}
    strays = []
    for group in report["groups"]:
        name = owner_of(group, owners)
        if name not in verdicts:
            strays.extend([json.dumps(group)] if RANK[group["verdict"]] >= RANK["suspect"] else [])
            continue
        verdicts[name] = max(verdicts[name], group["verdict"], key=RANK.__getitem__)
        reasons[name] += group.get("reasons", [])
    for name in names:
        prepared = PROGRAMS[name].prepares
        if prepared is not None and any(prepared in json.dumps(finding) for finding in report["findings"]):
            verdicts[name] = "leak"
    simple = observer.idle_in_transaction(IDLE_IN_TRANSACTION)
    judged = tuple(
        Judged(name, PROGRAMS[name].leaks, verdicts[name], name in simple, tuple(reasons[name])) for name in names
    )
    return Measured(judged, tuple(strays), observer, report, result, recording, owners)


def owner_of(group: dict[str, Any], owners: dict[int, str]) -> str | None:
    """The program that a group is: by its process when that is known, else by the name that it gave itself."""
    process = group.get("process")
    pid = process.get("pid") if isinstance(process, dict) else process
    if pid in owners:
        return owners[pid]
    name = group.get("application")
    return "person-in-psql" if name == "psql" else name


@contextlib.contextmanager
def server_of_its_own() -> Iterator[PostgresServer]:
    """For a run by hand."""
    try:
        with PostgresServer("embedded", settings=SETTINGS) as server:
            yield server
    finally:
        workspace().close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nameless", action="store_true", help="no program gives its application_name")
    parser.add_argument("--for", dest="seconds", type=float, default=24.0)
    parser.add_argument("--second", action="store_true", help="the second set of programs")
    parser.add_argument("--only", nargs="*", default=(), help="these programs alone")
    parser.add_argument("--recording", type=Path, help="keep the recording there")
    parser.add_argument("--report", type=Path, help="keep the JSON there")
    parser.add_argument("--lives", action="store_true", help="what the sessions of the misjudged did")
    arguments = parser.parse_args()
    with server_of_its_own() as server:
        measured = measure(
            server,
            nameless=arguments.nameless,
            seconds=arguments.seconds,
            names=arguments.only or (SECOND if arguments.second else FIRST),
        )
    if arguments.recording:
        shutil.move(measured.recording, arguments.recording)
    if arguments.report:
        arguments.report.write_text(json.dumps(measured.report, indent=1))
    print(measured.table())
    if arguments.lives:
        print(measured.lives())


if __name__ == "__main__":
    main()
