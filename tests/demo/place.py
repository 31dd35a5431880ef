import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]

SESSION = """
import sys, time
from dbdoctor.cli.signals import stop_on_terminate
from dbdoctor.demo.embedded import embedded_server
with stop_on_terminate(), embedded_server() as server:
    print(server.target.endpoints[0].port, server.socket_directory, flush=True)
    time.sleep(float(sys.argv[1]))
"""


@contextmanager
def temporary_place(name: str = "p") -> Iterator[Path]:
    """A short directory that every user may enter and write; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="dt-", dir="/tmp") as outer:
        Path(outer).chmod(0o711)
        place = Path(outer) / name
        place.mkdir()
        place.chmod(0o1777)
        yield place


def processes_of(place: Path) -> list[psutil.Process]:
    """Every process that names `place` in its command line, its environment or its directory."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        except psutil.AccessDenied:
            texts = []
        if process.pid != os.getpid() and any(str(place) in text for text in texts):
            found.append(process)
    return found


def wait_until_gone(place: Path, seconds: float = 15.0) -> None:
    """Wait for processes that are nobody's children here; a zombie, which init reaps when it likes, is gone."""
    end = time.monotonic() + seconds
    while left := processes_of(place):
        assert time.monotonic() < end, [process.cmdline() for process in left]
        time.sleep(0.01)


def orphaned_segments() -> set[str]:
    """System V segments that nobody uses and whose maker is gone."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {row[1] for row in rows if row[6] == "0" and not psutil.pid_exists(int(row[4]))}


def session_environment(place: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(place), **more}
