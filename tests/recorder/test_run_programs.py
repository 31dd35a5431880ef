"""Real programs under `dbdoctor run`: their processes are all recorded, whoever starts them and however they end."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.recorder.running import SHOP, checkouts, functions, lines_of, recordings, run_program, run_python, write
from tests.servers.cli import Running, start_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.workspace import free_port

# What a kill -9 may lose (seconds): twice the writer's pause, which a busy machine stretches.
LOST = 1.0
PROCESSES = """
import multiprocessing, sys
import shop
def work(count):
    shop.engine.dispose(close=False)
    for _ in range(count):
        shop.look()
if __name__ == "__main__":
    shop.look()
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(10 + number,)) for number in range(3)]
    for child in children: child.start()
    for child in children: child.join()
"""
WSGI = """
import os
import shop
def app(environ, start_response):
    shop.look()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
ASGI = """
import os
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine(os.environ["SHOP_DSN"].replace("+psycopg2:", "+asyncpg:"), pool_size=4)
async def look():
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind.endswith("shutdown"):
                await engine.dispose()
                return
    await look()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
CELERY = """
import os
from celery import Celery
from celery.signals import worker_process_init
import shop
place = os.environ["BROKER"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": place + "/queue", "data_folder_out": place + "/queue", "control_folder": place + "/control",
}
worker_process_init.connect(lambda **_: shop.engine.dispose(close=False), weak=False)
@app.task
def look(number):
    shop.look()
    open(f"{place}/done/{number}-{os.getpid()}", "w").close()
"""


@pytest.fixture
def shop(postgres: PostgresServer, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """(directory with the shop and what serves it, environment)."""
    place = write(tmp_path / "work", shop=SHOP, web=WSGI, asgi=ASGI, tasks=CELERY, processes=PROCESSES)
    return place, {
        "SHOP_DSN": postgres.dsn(scheme="postgresql+psycopg2"),
        "PYTHONPATH": str(place),
        "BROKER": str(tmp_path / "broker"),
    }


class Load:
    """Requests on several threads until told to stop; each answer is the number of the process that gave it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.answers: list[tuple[float, int]] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def seconds(self) -> float:
        """Since the first answer."""
        return time.monotonic() - self.answers[0][0]

    @property
    def workers(self) -> Counter[int]:
        """How many answers each gave."""
        return Counter(number for _, number in list(self.answers))

    def _send(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError), contextlib.closing(connection):
                connection.request("GET", "/")
                response = connection.getresponse()
                number = int(response.read())
                assert response.status == 200
                self.answers.append((time.monotonic(), number))
            # The servers shall have time for their own processes.
            self._stop.wait(0.005)


@contextlib.contextmanager
def served(words: list[str], place: Path, env: dict[str, str], out: Path) -> Iterator[Running]:
    command = ["run", "--out", str(out), "--", sys.executable, "-m", *words]
    with start_dbdoctor(*command, env={"PYTHONWARNINGS": "", **env}, cwd=place) as running:
        yield running


def answers_at(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_script(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    text = "import shop\nfor _ in range(100): shop.look()\nshop.take_order()"
    result = run_python(text, out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == 0
    (lines,) = recordings(tmp_path / "out").values()
    assert functions(lines) >= {"look", "take_order"}
    assert checkouts(lines) >= 100
    assert lines[-1]["how"] == "exit"
    assert "shop.py" in result.stderr
    assert "never returned" in result.stderr
    assert f"dbdoctor trace {tmp_path / 'out'}" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "signal.raise_signal(signal.SIGTERM)"])
def test_what_is_out_at_the_end_is_told_however_young(
    end: str, shop: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, env = shop
    text = f"import os, shop, signal\nshop.look()\nshop.take_order()\n{end}"
    result = run_python(text, out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == (-signal.SIGTERM if "raise" in end else 0)
    (lines,) = recordings(tmp_path / "out").values()
    assert checkouts(lines) == 1
    (out,) = [line for line in lines if "open" in line]
    (site,) = [
        line for line in lines if isinstance(line, dict) and line.get("site") == out["site"] and "frames" in line
    ]
    assert site["frames"][0][2] == "take_order"
    assert "end" in lines[-1]


@pytest.mark.parametrize(
    "text",
    [
        "signal.signal(signal.SIGTERM, lambda *_: None)\nsignal.raise_signal(signal.SIGTERM)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.raise_signal(signal.SIGTERM)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [15])\nsignal.raise_signal(15)\nsignal.sigwait([15])",
        "try: signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt: pass",
        "try: signal.raise_signal(10**6)\nexcept OSError: pass",
        "try: signal.raise_signal('TERM')\nexcept TypeError: pass",
    ],
)
def test_a_signal_that_ends_nothing_ends_no_recording(
    text: str, shop: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, env = shop
    text = f"import shop, signal\nshop.look()\n{text}\nshop.look()\nprint('lives')"
    result = run_python(text, out=tmp_path / "out", env=env, cwd=place)
    assert (result.exit_code, result.stdout) == (0, "lives\n"), result.stderr
    (lines,) = recordings(tmp_path / "out").values()
    assert checkouts(lines) == 2


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_multiprocessing(way: str, shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    result = run_program(sys.executable, "processes.py", way, out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == 0, result.stderr
    counts = sorted(checkouts(lines) for lines in recordings(tmp_path / "out").values())
    assert counts == [1, 10, 11, 12]


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import shop; shop.look()'], check=True)",
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import shop; shop.look()'])",
        "import shop, os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import shop; shop.look()'])",
        "import os, sys; os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', 'import shop; shop.look()'])",
        "import os; os.system('exec python -c \"import shop; shop.look()\"')",
        "import os\nimport shop\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: shop.look()",
    ],
)
def test_other_ways_to_start_a_process(text: str, shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = run_python(text, out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == 0, result.stderr
    assert sum(checkouts(lines) for lines in recordings(tmp_path / "out").values()) == 1


def test_pytest(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    (place / "test_shop.py").write_text(
        "import shop\ndef test_look():\n    shop.look()\ndef test_fails():\n    assert 0\n"
    )
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xdist", "-n", "2", "test_shop.py")
    result = run_program(*command, out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == 1
    assert "1 failed, 1 passed" in result.stdout
    assert sum(checkouts(lines) for lines in recordings(tmp_path / "out").values()) == 1


@pytest.mark.alone
def test_gunicorn_of_which_a_worker_is_killed(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    port, out = free_port(), tmp_path / "out"
    words = ["gunicorn", "--workers", "4", "--bind", f"127.0.0.1:{port}", "--no-control-socket", "web:app"]
    with served(words, place, env, out) as running:
        load, victim, killed = _kill_one(port)
        running.send_signal(signal.SIGTERM)
        result = running.finish(60)
    assert result.exit_code == 0, result.stderr
    found = recordings(out)
    _compare(load, found, victim, killed)
    assert any("end" in line for number, lines in found.items() if number != victim for line in lines[-1:])
    assert "5 processes" in result.stderr or "6 processes" in result.stderr


def _compare(load: Load, found: dict[int, list[Any]], victim: int, killed: float) -> None:
    """Every answer is a checkout on record, but the last moment's of the one that was killed."""
    for worker, count in load.workers.items():
        if worker == victim:
            certain = sum(number == victim and at < killed - LOST for at, number in load.answers)
            assert 0 < certain <= checkouts(found[worker]) <= count + 4
        else:
            assert count <= checkouts(found[worker]) <= count + 4


@pytest.mark.alone
def test_uvicorn_with_an_async_engine_of_which_a_worker_is_killed(
    shop: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    place, env = shop
    port, out = free_port(), tmp_path / "out"
    words = ["uvicorn", "--workers", "4", "--port", str(port), "--log-level", "warning", "asgi:app"]
    # On a busy machine a worker may not answer its master for a while, which would kill it. As long may it take until
    # the master sees that one ended in the middle of such a question.
    words += ["--timeout-worker-healthcheck", "30"]
    with served(words, place, env, out) as running:
        load, victim, killed = _kill_one(port)
        running.send_signal(signal.SIGTERM)
        result = running.finish(60)
    found = recordings(out)
    _compare(load, found, victim, killed)
    # It shuts down in good order, and then ends by the signal that it got.
    assert all("end" in lines[-1] for number, lines in found.items() if number != victim), result.stderr
    assert all("look" in functions(lines) for lines in found.values())
    assert "asgi.py" in result.stderr


def _kill_one(port: int) -> tuple[Load, int, float]:
    """Load on four workers, of which one is killed in the middle: also which, and when."""
    wait_until(lambda: answers_at(port), "the server", 30)
    with Load(port) as load:
        wait_until(lambda: len(load.workers) >= 4 and min(load.workers.values()) >= 20, "all four workers", 60)
        # So long that what was lost of the one that is killed can be told from what was not.
        wait_until(lambda: load.seconds > 3 * LOST, "answers of some seconds", 60)
        victim = load.workers.most_common(1)[0][0]
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: len(load.workers) >= 5, "the next worker", 100)
    return load, victim, killed


def test_celery_with_processes(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    broker, out = tmp_path / "broker", tmp_path / "out"
    for name in ("queue", "control", "done"):
        (broker / name).mkdir(parents=True)
    words = ["celery", "-A", "tasks", "worker", "-c", "2", "--without-gossip", "--without-mingle", "-l", "warning"]
    env["C_FORCE_ROOT"] = "1"
    with served(words, place, env, out) as running:
        send = "import tasks\nfor number in range(40): tasks.look.delay(number)"
        sent = run_python(send, out=tmp_path / "sender", env=env, cwd=place)
        assert sent.exit_code == 0, sent.stderr
        wait_until(lambda: len(list((broker / "done").iterdir())) == 40, "the tasks", 60)
        running.send_signal(signal.SIGTERM)
        result = running.finish(60)
    assert result.exit_code == 0, result.stderr
    done = Counter(int(file.name.partition("-")[2]) for file in (broker / "done").iterdir())
    found = recordings(out)
    assert {worker: checkouts(found[worker]) for worker in done} == done


def test_a_file_that_is_killed_in_the_middle_can_be_read(shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, env = shop
    text = "import shop, os, signal, time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: shop.look()\n"
    result = run_python(text + "os.kill(os.getpid(), signal.SIGKILL)", out=tmp_path / "out", env=env, cwd=place)
    assert result.exit_code == -signal.SIGKILL
    (file,) = (tmp_path / "out").glob("*.jsonl")
    rows = [line for line in lines_of(file) if isinstance(line, list)]
    assert rows[-1][0] > (2 - LOST) * 1e6 / 2
    assert "checkouts at" in result.stderr
