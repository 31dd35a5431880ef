"""How well `leaks` tells the programs on SQL Server that leak from those that do not, all at once on one server."""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from tests.leaks.measure import IDLE_IN_TRANSACTION, RANK, Judged, f1
from tests.leaks.sqlserver_everything import PROGRAMS
from tests.leaks.sqlserver_host import ROWS, SHARED, table_of
from tests.servers import odbc
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.tds import ACCOUNTS, Account, ShownSession, TdsServer
from tests.servers.workspace import REPOSITORY, workspace

PATIENCE = 60.0
# Who the one program is whose pool somebody declared.
ALONE = "orders"
CONFIG = """
[targets.orders]
dsn = {dsn}
pool_size = 5
max_overflow = 3
"""


def shop_server(start_tds: Callable[..., TdsServer]) -> TdsServer:
    """A server with a table for each program."""
    import sqlalchemy as sa

    odbc.load()
    server = start_tds("2022", accounts={**ACCOUNTS, ALONE: Account(ALONE)})
    engine = sa.create_engine(server.url(), poolclass=sa.NullPool)
    rows = ", ".join(f"({number}, 0)" for number in range(1, ROWS + 1))
    with engine.begin() as connection:
        for table in (SHARED, *map(table_of, PROGRAMS)):
            connection.exec_driver_sql(f"CREATE TABLE {table} (id INT PRIMARY KEY, amount INT)")
            connection.exec_driver_sql(f"INSERT INTO {table} (id, amount) VALUES {rows}")
    engine.dispose()
    return server


class Fleet:
    """The programs while they run; a context manager. `pids` is which process is whose."""

    def __init__(self, server: TdsServer, names: Iterable[str]) -> None:
        self.names = list(names)
        self.pids: dict[int, str] = {}
        self._errors = workspace().write(workspace().directory("program") / "stderr", "")
        self._environment = {**workspace().environment(), **odbc.environment()}
        for driver in odbc.DRIVERS:
            self._environment[f"PROGRAM_{driver.upper()}"] = server.dsn(driver)
            self._environment[f"PROGRAM_{driver.upper()}_ALONE"] = server.dsn(driver, UID=ALONE, PWD=ALONE)

    def __enter__(self) -> Self:
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.leaks.sqlserver_everything", *self.names],
                env=self._environment,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,
            )
        workspace().watch(self._process.pid, "programs")
        try:
            self._await_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The end of its stdin ends every program, and they end with their parent.
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        workspace().stop(self._process)

    def assert_running(self) -> None:
        """AssertionError with what it said when one has ended."""
        assert self._process.poll() is None, f"a program ended: {self._errors.read_text()}"
        assert not self._errors.read_text()

    def _await_all(self) -> None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while missing := set(self.names) - set(self.pids.values()):
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            line = self._process.stdout.readline().decode() if readable else ""
            assert line, f"{missing} did not get ready: {self._errors.read_text()}"
            name, _, pid = line.partition(" ")
            self.pids[int(pid)] = name


class Observer:
    """What the sessions do, as the server has it, looked at once a second within the context."""

    def __init__(self, server: TdsServer, fleet: Fleet) -> None:
        self._server = server
        self._fleet = fleet
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        # Seconds since the first, and the sessions of each program with their ages.
        self.samples: list[tuple[float, dict[str, list[tuple[str, float, ShownSession]]]]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def standstill(self) -> float:
        """The longest time in which not even we came to look, in seconds: the tests' server stood still then too."""
        times = [at for at, _ in self.samples]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    def simple(self, seconds: float) -> set[str]:
        """Whom the rule "idle for so long with an open transaction" names."""
        return {
            name
            for _, programs in self.samples
            for name, rows in programs.items()
            if any(state == "idle in transaction" and age >= seconds for state, age, _ in rows)
        }

    def life(self, name: str) -> str:
        """What a program's sessions did, a line a sample."""
        return "\n".join(f"  {at:5.1f} s: {_described(programs.get(name, []))}" for at, programs in self.samples)

    def _look_on(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(max(0.0, started + len(self.samples) - time.monotonic())):
            now, found = self._server.clock.local(), defaultdict(list)
            for one in self._server.sessions.all_shown():
                age = (now - (one.last_request_end or one.login_time)).total_seconds()
                state = "active" if one.request else "idle in transaction" if one.open_transaction_count else "idle"
                found[self._fleet.pids.get(one.host_process_id or 0, "?")].append((state, age, one))
            self.samples.append((time.monotonic() - started, dict(found)))


def _described(rows: list[tuple[str, float, ShownSession]]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(Counter(state for state, _, _ in rows).items()))
    records = sum(each.log_records for _, _, one in rows for each in one.transactions)
    oldest = max((age for state, age, _ in rows if state != "active"), default=0.0)
    return f"{states}; at rest up to {oldest:.1f} s, {records} log records"


@dataclass(frozen=True)
class Measured:
    """One watch over all of them. `strays` are positive groups that belong to no program."""

    judged: tuple[Judged, ...]
    strays: tuple[str, ...]
    observer: Observer
    result: Result

    def f1(self, least: str) -> float:
        """When a verdict of `least` or worse counts as "leak"; a stray counts as a false alarm."""
        return f1((one.leaks, one.positive(least)) for one in self.judged) if not self.strays else 0.0

    def f1_simple(self) -> float:
        """Of the rule "idle for so many seconds with an open transaction"."""
        return f1((one.leaks, one.simple) for one in self.judged)

    def table(self) -> str:
        """A line for each program, and the figures; for the misjudged also their lives."""
        lines = [f"{'program':<36} {'label':<8} {'verdict':<8} simple  reasons"]
        for one in self.judged:
            right = one.leaks == one.positive("suspect") == one.positive("leak")
            label, simple = ("leak" if one.leaks else "healthy"), ("leak" if one.simple else "")
            reasons = "; ".join(one.reasons)[:100]
            lines.append(f"{one.name:<36} {label:<8} {one.verdict:<8} {simple:<4}{'   ' if right else ' ! '} {reasons}")
            lines.extend([] if right else [self.observer.life(one.name)])
        lines += [f"of no program: {stray}" for stray in self.strays]
        figures = ", ".join(f"{least} {self.f1(least):.2f}" for least in ("suspect", "leak"))
        lines.append(f"F1 by the verdict that counts: {figures}; of the simple rule {self.f1_simple():.2f}")
        lines.append(f"the tests' server stood still for up to {self.observer.standstill:.1f} s")
        lines.append(f"exit code {self.result.exit_code}; {self.result.cpu_seconds:.1f} s CPU; {self.result.stderr}")
        return "\n".join(lines)


def measure(server: TdsServer, *, seconds: float = 24.0) -> Measured:
    """Starts the programs, watches them, and maps each group to its program. `server` is of `shop_server`."""
    config = workspace().directory("measure", mode=0o755) / "config.toml"
    config.write_text(CONFIG.format(dsn=json.dumps(server.dsn(UID=ALONE, PWD=ALONE))))
    with Fleet(server, PROGRAMS) as fleet:
        with Observer(server, fleet) as observer:
            result = run_dbdoctor(
                *("leaks", ALONE, "--config", config, "--for", f"{seconds:g}s", "--interval", "1s"),
                *("--idle-in-transaction", f"{IDLE_IN_TRANSACTION:g}s", "--json"),
                env=odbc.environment(),
                timeout=seconds + 60,
            )
        fleet.assert_running()
    return _judge(fleet, observer, result)


def _judge(fleet: Fleet, observer: Observer, result: Result) -> Measured:
    assert result.exit_code in {0, 1}, f"{result.exit_code}: {result.stdout}{result.stderr}"
    verdicts = dict.fromkeys(fleet.names, "none")
    reasons: dict[str, list[str]] = {name: [] for name in fleet.names}
    strays = []
    for group in json.loads(result.stdout)["groups"]:
        name = _owner_of(group, fleet.pids)
        if name not in verdicts:
            strays.extend([json.dumps(group)] if RANK[group["verdict"]] >= RANK["suspect"] else [])
            continue
        verdicts[name] = max(verdicts[name], group["verdict"], key=RANK.__getitem__)
        reasons[name] += group.get("reasons", [])
    simple = observer.simple(IDLE_IN_TRANSACTION)
    judged = tuple(
        Judged(name, PROGRAMS[name].leaks, verdicts[name], name in simple, tuple(reasons[name])) for name in fleet.names
    )
    return Measured(judged, tuple(strays), observer, result)


def _owner_of(group: dict[str, Any], pids: dict[int, str]) -> str:
    """The program that a group is: by its process when that is known, else by the name that it gave itself."""
    process = group.get("process")
    pid = process.get("pid") if isinstance(process, dict) else process
    if pid in pids:
        return pids[pid]
    name: str = group.get("application") or ""
    return "person-with-query-windows" if "Management Studio" in name else name
