"""Many programs at once on one server, and which session is whose."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tests.leaks.place import alone
from tests.leaks.programs.everything import PROGRAMS
from tests.servers import guard
from tests.servers.workspace import REPOSITORY, workspace

PATIENCE = 90.0


def program_environment(dsn: str, **more: object) -> dict[str, str]:
    """What a program is started with; `pooler_dsn=...` becomes PROGRAM_POOLER_DSN, and what is false is left out."""
    own = {f"PROGRAM_{name.upper()}": str(value) for name, value in more.items() if value}
    return {**workspace().environment(), "PROGRAM_DSN": dsn, **own}


class RunningProgram:
    """One program's process, or with `part` one that does a part alone."""

    def __init__(self, name: str, environment: Mapping[str, str], *part: str) -> None:
        self.name = name
        self.errors = workspace().write(workspace().directory("program") / "stderr", "")
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.leaks.programs", name, *part],
                env=dict(environment),
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,
            )
        workspace().watch(self.process.pid, name)

    def read_line(self, seconds: float) -> str:
        """The next line that it writes; AssertionError when none comes in that time, or it ended."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, seconds))
        line = self.process.stdout.readline().decode() if readable else ""
        assert line, f"{self.name} wrote no line in {seconds:.0f} s: {self.errors.read_text()}"
        return line.rstrip("\n")

    def go(self) -> None:
        """Lets its course begin."""
        self.assert_running()
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def assert_running(self) -> None:
        """AssertionError with what it said when it has ended."""
        assert self.process.poll() is None, f"{self.name} ended: {self.errors.read_text()}"

    def stop(self) -> None:
        """Ends it and all its parts."""
        everyone = guard.family({self.process.pid})
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        guard.send(everyone, signal.SIGTERM)
        workspace().stop(self.process)
        guard.end(guard.running(everyone), patience=1.0)


class Fleet:
    """Programs that run at the same time; a context manager. `dsn` is of `place.furnish`.

    `pooler_dsn` and `pooler_pid` are of the PgBouncer that one of them uses; `psql` is the program, if there is one; `more`
    is what the programs are told besides (`program_environment`).
    """

    def __init__(
        self,
        dsn: str,
        names: Iterable[str],
        *,
        nameless: bool = False,
        pooler_dsn: str | None = None,
        pooler_pid: int | None = None,
        psql: Path | None = None,
        **more: object,
    ) -> None:
        self.names = list(names)
        self.running: dict[str, RunningProgram] = {}
        self._pooler_pid = pooler_pid
        self._environment = program_environment(
            dsn, awaits_go=1, nameless=int(nameless), pooler_dsn=pooler_dsn, psql=psql, **more
        )

    def __enter__(self) -> Self:
        try:
            first = [name for name in self.names if PROGRAMS[name].after not in self.names]
            self._start(first)
            self._start([name for name in self.names if name not in first])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stopping = [threading.Thread(target=running.stop) for running in self.running.values()]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self.running.clear()

    def go(self) -> None:
        """Lets every course begin."""
        for running in self.running.values():
            running.go()

    def assert_running(self) -> None:
        """AssertionError that names the program that has ended."""
        for running in self.running.values():
            running.assert_running()

    def owners(self) -> dict[int, str]:
        """The program that each process belongs to, the pooler's too."""
        table = guard.parents()
        by_pid = {running.process.pid: name for name, running in self.running.items()}
        found = {self._pooler_pid: "behind-pgbouncer"} if self._pooler_pid else {}
        for pid in table:
            ancestor: int | None = pid
            while ancestor is not None and ancestor not in by_pid:
                ancestor = table.get(ancestor)
            if ancestor is not None:
                found[pid] = by_pid[ancestor]
        return found

    def _environment_of(self, name: str) -> Mapping[str, str]:
        if not PROGRAMS[name].alone:
            return self._environment
        return {**self._environment, "PROGRAM_DSN": alone(self._environment["PROGRAM_DSN"])}

    def _start(self, names: list[str]) -> None:
        for name in names:
            self.running[name] = RunningProgram(name, self._environment_of(name))
        deadline = time.monotonic() + PATIENCE
        for name in names:
            line = self.running[name].read_line(deadline - time.monotonic())
            assert line == "ready", f"{name} wrote {line!r}"


def owners_of_ports(owners: Mapping[int, str], ports: set[int]) -> dict[int, str]:
    """Whose each of these local TCP ports is, as far as it is one of the processes in `owners`."""
    inodes = {}
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = row.split()
        port = int(words[1].rpartition(":")[2], 16)
        if port in ports and words[9] != "0":
            inodes[f"socket:[{words[9]}]"] = port
    found = {}
    for pid, name in owners.items():
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if (port := inodes.get(str(entry.readlink()), 0)) != 0:
                        found[port] = name
    return found
