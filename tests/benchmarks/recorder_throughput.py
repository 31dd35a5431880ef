"""What the recorder costs a web application under load: requests a second, and CPU a request, with it and without.

Run by hand: python -m tests.benchmarks.recorder_throughput [REPETITIONS] [SECONDS]. gunicorn with four workers (psycopg2) and
uvicorn with four (asyncpg), each request one checkout and `select 1` on a real PostgreSQL: as little work as a request can have,
so that the recorder weighs most. Three servers of each kind are up at once: `bare`, `again` (bare too: what differs there is
noise) and `run` (under `dbdoctor run`). They get the load in turn, SECONDS each, in all orders one after the other;
8 clients in one process of ours. A ratio is of two rounds of the same turn. CPU is what the kernel counted for each thread of the
server's processes, the recorder's and `dbdoctor run` itself included. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.recorder.running import SHOP, checkouts, recordings, write
from tests.recorder.test_run_programs import ASGI, WSGI, answers_at
from tests.servers.cli import relatives, start_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.workspace import free_port, workspace

CLIENTS, WORKERS = 8, 4
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
GUNICORN = ("gunicorn", "--workers", str(WORKERS), "--no-control-socket", "--log-level", "warning")
UVICORN = ("uvicorn", "--workers", str(WORKERS), "--log-level", "warning", "--no-access-log")


@dataclass
class Server:
    """One that is up; `rates` (requests a second) and `costs` (seconds of CPU a request) by round."""

    port: int
    place: Path
    out: Path | None
    answered: int = 0
    processes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Until every worker has its connections."""
        self.answered += asyncio.run(_requests(self.port, time.perf_counter() + 2))
        self.processes = sorted(relatives(self.place))

    def load(self, seconds: float) -> None:
        """One round."""
        before, started = self._cpu(), time.perf_counter()
        count = asyncio.run(_requests(self.port, started + seconds))
        took, used = time.perf_counter() - started, self._cpu() - before
        self.answered += count
        self.rates.append(count / took)
        self.costs.append(used / count)

    def _cpu(self) -> float:
        """Seconds of all its processes so far."""
        return sum(map(_cpu_of, self.processes))


def _cpu_of(pid: int) -> float:
    """Seconds on a processor of all threads, to the nanosecond."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


async def _requests(port: int, until: float) -> int:
    return sum(await asyncio.gather(*(_client(port, until) for _ in range(CLIENTS))))


async def _client(port: int, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer
        writer.close()
        count += 1
    return count


@contextlib.contextmanager
def _served(words: tuple[str, ...], env: Mapping[str, str], place: Path, *, recorded: bool) -> Iterator[Server]:
    port, out = free_port(), place / "out"
    bind = ("--bind", f"127.0.0.1:{port}") if words[0] == "gunicorn" else ("--port", str(port))
    command = [sys.executable, "-m", *words, *bind, "web:app" if words[0] == "gunicorn" else "asgi:app"]
    if recorded:
        command = [sys.executable, "-m", "dbdoctor", "run", "--out", str(out), "--", *command]
    app = write(place / "app", shop=SHOP.replace("pool_timeout=0.3", "pool_timeout=30"), web=WSGI, asgi=ASGI)
    with start_dbdoctor(
        program=command, env={"PYTHONWARNINGS": "", **env, "PYTHONPATH": str(app)}, cwd=app, stdout_piped=True
    ) as running:
        wait_until(lambda: answers_at(port), words[0], 30)
        server = Server(port, place, out if recorded else None)
        yield server
        running.send_signal(15)
        running.finish(60)


def compare(words: tuple[str, ...], env: Mapping[str, str], repetitions: int, seconds: float) -> None:
    """One kind of server."""
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                _served(words, env, workspace().directory(name, mode=0o755), recorded=name == "run")
            )
            for name in ("bare", "again", "run")
        }
        for server in servers.values():
            server.begin()
        # In every order as often, since what ran before leaves its traces in the caches.
        for order in itertools.islice(itertools.cycle(itertools.permutations(servers.values())), repetitions):
            for server in order:
                server.load(seconds)
    bare, again, run = servers.values()
    print(f"{words[0]}, {WORKERS} workers, {repetitions} rounds of {seconds:g} s each; medians")
    print(f"  bare  {_middle(bare.rates):8.0f} requests/s  {_middle(bare.costs) * 1e6:7.1f} µs of CPU a request")
    print(f"  run   {_middle(run.rates):8.0f} requests/s  {_middle(run.costs) * 1e6:7.1f} µs")
    _ratios("requests/s: run / bare", run.rates, bare.rates)
    _ratios("           again / bare", again.rates, bare.rates)
    _ratios("CPU:        run / bare", run.costs, bare.costs)
    _ratios("           again / bare", again.costs, bare.costs)
    assert run.out is not None
    told = sum(checkouts(lines) for lines in recordings(run.out).values())
    print(f"  {run.answered} answers under `dbdoctor run`, {told} checkouts on record\n")


def _middle(values: list[float]) -> float:
    return statistics.median(values)


def _ratios(name: str, ours: list[float], bare: list[float]) -> None:
    """Their median, where the true one is with 95 % (by order statistics, so that outliers count as little), and quartiles."""
    ratios = sorted(one / other - 1 for one, other in zip(ours, bare, strict=True))
    half, reach = len(ratios) / 2, 0.98 * len(ratios) ** 0.5
    low, high = ratios[max(0, math.floor(half - reach))], ratios[min(len(ratios) - 1, math.ceil(half + reach))]
    lower, middle, upper = statistics.quantiles(ratios, n=4)
    print(
        f"  {name:25} {middle:+.2%} (95 %: {low:+.2%} to {high:+.2%}); half of the ratios {lower:+.1%} to {upper:+.1%}"
    )


def main() -> None:
    given = [float(word) for word in sys.argv[1:]]
    repetitions, seconds = given + [150.0, 0.4][len(given) :]
    try:
        with PostgresServer("embedded", settings={"max_connections": 100}) as server:
            env = {"SHOP_DSN": server.dsn(scheme="postgresql+psycopg2")}
            for words in (GUNICORN, UVICORN):
                compare(words, env, int(repetitions), seconds)
    finally:
        workspace().close()


if __name__ == "__main__":
    main()
