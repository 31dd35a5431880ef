"""What `leaks` costs its own machine with 2,000 sessions on the server.

Run by hand: python -m tests.benchmarks.leaks_cost [SESSIONS] [RUNS] [TICKS]. Nothing is asserted.

One-shot: `dbdoctor leaks --for 0 --json` and a bare Typer command that runs the same query with psycopg2 and prints its
rows as JSON, in turn, A B A B ..., on the same server; user + system CPU of the whole process as the kernel accounts it
(wait4), and the ratio is taken pair by pair.
A tick: the CPU that `dbdoctor leaks --watch --interval 1s` uses in so many seconds, after it has settled; on a
pseudo-terminal with its screen, and in a pipe with --json.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.leaks.fleet import RunningProgram, program_environment
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace

BARE = '''
import json, psycopg2, typer
LOOK = """{look}"""
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def leaks(dsn: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(LOOK)
    print(json.dumps(cursor.fetchall(), default=str))
app()
'''
HOLDERS = 4
# Until imports, the first looks and the first details are over, seconds.
SETTLED_AFTER = 12.0


@contextlib.contextmanager
def many_sessions(
    sessions: int, part: str = "many-sessions", **more: object
) -> Iterator[tuple[PostgresServer, list[RunningProgram]]]:
    """A server with so many sessions, and the few processes that have them."""
    try:
        with (
            PostgresServer("embedded", settings={"max_connections": sessions + 60, "log_connections": "off"}) as server,
            contextlib.ExitStack() as stack,
        ):
            environment = program_environment(server.dsn(), sessions=sessions // HOLDERS, **more)
            holders = [RunningProgram("many-sessions", environment, part) for _ in range(HOLDERS)]
            for holder in holders:
                stack.callback(holder.stop)
            for holder in holders:
                assert holder.read_line(120) == "ready"
            yield server, holders
    finally:
        workspace().close()


def cost(argv: list[str], codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """CPU and wall seconds of one run."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr is not None
    with process.stderr:
        if process.returncode not in codes:
            raise SystemExit(f"{argv} exited {process.returncode}: {process.stderr.read().decode()}")
    return usage.ru_utime + usage.ru_stime, wall


def compare(dsn: str, runs: int) -> None:
    """One-shot beside its peer."""
    from dbdoctor.databases.postgresql_sessions import look_question

    with tempfile.TemporaryDirectory() as directory:
        bare = Path(directory, "bare.py")
        bare.write_text(BARE.format(look=look_question()))
        commands = [[sys.executable, str(bare), dsn], [*dbdoctor(), "--no-config", dsn, "--for", "0", "--json"]]
        for argv in commands:
            cost(argv, (0, 1))
        rows = [[cost(argv, (0, 1)) for argv in commands] for _ in range(runs)]
    for index, unit in enumerate(("CPU", "wall")):
        for column, name in enumerate(("bare Typer command, same query", "dbdoctor leaks --for 0 --json")):
            figures = [row[column][index] * 1000 for row in rows]
            ratio = statistics.median(row[column][index] / row[0][index] for row in rows)
            median = statistics.median(figures)
            print(f"{name:<34} {median:6.0f} ms {unit:<4} (min {min(figures):.0f})   ratio {ratio:.2f}", flush=True)


def dbdoctor() -> list[str]:
    """The command as it is installed."""
    return [str(Path(sys.executable).parent / "dbdoctor"), "leaks"]


def cpu_of(pid: int) -> float:
    """User and system seconds that a running process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def drain(descriptor: int, counted: list[int]) -> None:
    """Reads until the end, as a terminal does, and counts the bytes."""
    with contextlib.suppress(OSError):
        while data := os.read(descriptor, 65536):
            counted[0] += len(data)


@contextlib.contextmanager
def watching(dsn: str, *, terminal: bool, more: tuple[str, ...] = ()) -> Iterator[tuple[int, list[int]]]:
    """A `--watch` that runs: its pid, and the bytes that it wrote so far."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    argv = [*dbdoctor(), "--no-config", dsn, "--watch", "--interval", "1s", *more, *([] if terminal else ["--json"])]
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        argv, stdin=theirs if terminal else subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    counted = [0]
    reader = threading.Thread(target=drain, args=(ours, counted), daemon=True)
    reader.start()
    try:
        yield process.pid, counted
        if process.poll() is not None:
            raise SystemExit(f"{argv} exited {process.returncode}")
    finally:
        process.terminate()
        process.wait(20)
        reader.join(5)
        os.close(ours)


def tick(dsn: str, ticks: int) -> None:
    """CPU of a tick of `--watch`."""
    for terminal, name in ((True, "--watch on a terminal"), (False, "--watch --json in a pipe")):
        with watching(dsn, terminal=terminal) as (pid, counted):
            time.sleep(SETTLED_AFTER)
            before, bytes_before = cpu_of(pid), counted[0]
            time.sleep(ticks)
            used, wrote = cpu_of(pid) - before, counted[0] - bytes_before
        print(f"{name:<34} {used / ticks * 1000:6.1f} ms CPU a tick ({ticks} ticks, {wrote / ticks:.0f} bytes each)")


def main() -> None:
    sessions, runs, ticks = (
        int(sys.argv[index]) if len(sys.argv) > index else default for index, default in ((1, 2000), (2, 15), (3, 30))
    )
    with many_sessions(sessions) as (server, _):
        count = server.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")[0][0]
        print(f"{count - 1} sessions", flush=True)
        compare(server.dsn(), runs)
        tick(server.dsn(), ticks)


if __name__ == "__main__":
    main()
