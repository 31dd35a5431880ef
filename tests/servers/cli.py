"""`dbdoctor` as a user runs it: a process of its own in a clean environment, with its output, its time and what it left."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tests.servers import guard
from tests.servers.workspace import workspace

DBDOCTOR = (sys.executable, "-m", "dbdoctor")


@dataclass(frozen=True)
class Result:
    """What one run gave; times in seconds."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    # User and system time of the process and of the children it waited for.
    cpu_seconds: float
    # Each piece of output as it came: seconds since the start, "stdout" or "stderr", text.
    pieces: tuple[tuple[float, str, str], ...]
    # Files in its HOME and TMPDIR when it had ended.
    left_behind: tuple[str, ...]
    # Processes that it started and that outlived it.
    outlived_by: tuple[str, ...]


def clean_environment(place: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the user's: PATH, a HOME and a TMPDIR under `place`, and `extra`."""
    own = {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "PYTHONWARNINGS": "error", "COLUMNS": "80"}
    return {**workspace().environment(), **own, **(extra or {})}


def _make_place() -> Path:
    place = workspace().directory("run", mode=0o755)
    for name, mode in (("home", 0o755), ("tmp", 0o1777), ("work", 0o755)):
        (place / name).mkdir()
        (place / name).chmod(mode)
    return place


def contents(*places: Path) -> tuple[str, ...]:
    """Every file under `places`."""
    return tuple(sorted(str(path) for place in places for path in place.rglob("*") if not path.is_dir()))


def relatives(place: Path) -> set[int]:
    """Processes that have `place` in their environment or command line, or run in it, whoever is their parent now."""
    needle, found = os.fsencode(place), set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                texts = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
                if any(needle in text for text in texts) or needle in os.fsencode((entry / "cwd").readlink()):
                    found.add(int(entry.name))
    return guard.running(found)


class Running:
    """A dbdoctor that runs; `finish` waits for its end, leaving the context kills it. Made by `start_dbdoctor`."""

    def __init__(self, process: subprocess.Popen[bytes], place: Path, streams: Mapping[str, int]) -> None:
        self.process = process
        self.started = time.monotonic()
        self._place = place
        self._pieces: list[tuple[float, str, str]] = []
        self._changed = threading.Condition()
        self._readers: list[threading.Thread] = []
        workspace().watch(process.pid, "dbdoctor")
        for name, descriptor in streams.items():
            self.also_read(name, descriptor)

    def also_read(self, name: str, descriptor: int) -> None:
        """Collects what comes from `descriptor` under that name, and closes it at its end."""
        reader = threading.Thread(target=self._read, args=(name, descriptor), daemon=True)
        self._readers.append(reader)
        reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            guard.send(guard.family({self.process.pid}), signal.SIGKILL)
            self.finish()

    def text(self, stream: str | None = None) -> str:
        """What came so far, on "stdout", "stderr", or both in their order."""
        return "".join(text for _, name, text in self._pieces if stream in {None, name})

    def wait_for(self, words: str, seconds: float = 10.0) -> float:
        """Returns as soon as `words` were written, with the seconds since the start; AssertionError when they are not."""
        with self._changed:
            seen = self._changed.wait_for(lambda: words in self.text(), seconds)
        assert seen, f"{words!r} did not come within {seconds} s, but: {self.text()}"
        return time.monotonic() - self.started

    def send_signal(self, number: int, *, group: bool = False) -> None:
        """Sends a signal to the process, or as a terminal's Ctrl-C does to its whole group."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def finish(self, timeout: float = 30.0) -> Result:
        """Waits for the end; AssertionError, with the output so far, when it does not come in `timeout` seconds."""
        status, usage = self._wait(timeout)
        seconds = time.monotonic() - self.started
        # Whoever outlived it may still hold the pipes.
        outlived = self._clear_away()
        for reader in self._readers:
            reader.join(10)
        self.process.returncode = status
        workspace().forget(self.process.pid)
        result = Result(
            exit_code=status,
            stdout=self.text("stdout"),
            stderr=self.text("stderr"),
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            pieces=tuple(self._pieces),
            left_behind=contents(self._place / "home", self._place / "tmp"),
            outlived_by=outlived,
        )
        shutil.rmtree(self._place, ignore_errors=True)
        return result

    def _wait(self, timeout: float) -> tuple[int, Any]:
        pidfd = os.pidfd_open(self.process.pid)
        try:
            ended = bool(select.select([pidfd], [], [], max(timeout, 0))[0])
        finally:
            os.close(pidfd)
        if not ended:
            guard.send(guard.family({self.process.pid}), signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if not ended:
            self.process.returncode = code
            workspace().forget(self.process.pid)
            raise AssertionError(f"dbdoctor still ran after {timeout} s; it wrote: {self.text()}")
        return code, usage

    def _clear_away(self) -> tuple[str, ...]:
        left = relatives(self._place)
        names = tuple(command_of(pid) for pid in sorted(left))
        if left:
            guard.end(left, patience=1.0)
        return names

    def _read(self, name: str, descriptor: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := _read_or_end(descriptor):
            with self._changed:
                self._pieces.append((time.monotonic() - self.started, name, decoder.decode(data)))
                self._changed.notify_all()
        os.close(descriptor)


def _read_or_end(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # a terminal whose other side is gone
        return b""


def command_of(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return str(pid)


def start_dbdoctor(
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    prefix: Sequence[str] = (),
    cwd: Path | None = None,
    terminal: int | None = None,
    stdout_piped: bool = True,
    program: Sequence[str] = DBDOCTOR,
) -> Running:
    """Starts dbdoctor in a session of its own, in an empty directory unless `cwd` is given; `prefix` goes before it.

    With `terminal` (the far side of a pty) that is its stdin, stderr and, unless `stdout_piped`, its stdout.
    """
    place = _make_place()
    piped = stdout_piped or terminal is None
    # Makes the terminal the controlling one, so that Ctrl-C works; the same process goes on.
    session = () if terminal is None else ("setsid", "--ctty")
    process = subprocess.Popen(
        [*session, *prefix, *program, *(str(part) for part in args)],
        env=clean_environment(place, env),
        cwd=cwd or place / "work",
        stdin=terminal if terminal is not None else subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE if piped else terminal,
        stderr=subprocess.PIPE if terminal is None else terminal,
        start_new_session=terminal is None,
    )
    streams = {name: _taken(file) for name, file in (("stdout", process.stdout), ("stderr", process.stderr)) if file}
    running = Running(process, place, streams)
    if process.stdin is not None and stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
    return running


def _taken(file: IO[bytes]) -> int:
    """The file's descriptor for ourselves, the file closed."""
    with file:
        return os.dup(file.fileno())


def run_dbdoctor(
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    timeout: float = 30.0,
    prefix: Sequence[str] = (),
    cwd: Path | None = None,
    after_start: Callable[[Running], object] | None = None,
) -> Result:
    """Runs dbdoctor to its end in pipes; `after_start` may wait for words and send signals meanwhile."""
    running = start_dbdoctor(*args, env=env, stdin=stdin, prefix=prefix, cwd=cwd)
    with running:
        if after_start is not None:
            after_start(running)
        return running.finish(timeout)
