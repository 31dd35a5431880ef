"""Where the tests' servers live: one temporary directory and one guard a session, and the user that servers run as."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers import guard

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"
# Marks every process that the tests start, and all that descend from it, so that one left behind is found.
MARK = "TESTS_WORKSPACE"
BINARIES = ("usr/bin", "usr/sbin", "bin", "sbin")


def is_root() -> bool:
    """Whether the tests run as root, and servers therefore as `nobody` (PostgreSQL refuses root)."""
    return os.geteuid() == 0


def server_ids() -> tuple[int, int]:
    """The user and group that servers run as."""
    if not is_root():
        return os.geteuid(), os.getegid()
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def open_to_all(path: Path) -> bool:
    """Whether every directory down to `path` may be entered by anybody."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


class MissingServerError(AssertionError):
    """A server that the tests need is not installed; nothing is skipped for it."""


def debian_root() -> Path:
    """Where tests/run.py put what it took out of Debian's packages, as the servers' user can reach it; may be missing."""
    private = CACHE / "debian"
    return workspace().reachable(private) if private.exists() else private


def installed(program: str) -> str:
    """The path of a program of the machine, or of `debian_root`; MissingServerError when there is none."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None and (CACHE / "debian").exists():
        path = shutil.which(program, path=":".join(str(debian_root() / part) for part in BINARIES))
    if path is None:
        raise MissingServerError(f"{program} is not installed: run `python3 tests/run.py` once, it installs it")
    return path


def _make_root() -> Path:
    # A socket's path has at most 107 bytes, and the server's user must be able to reach it.
    place = Path(tempfile.gettempdir()).resolve()
    if len(str(place)) > 40 or not open_to_all(place):
        place = Path("/tmp")
    root = Path(tempfile.mkdtemp(prefix="dbdoctor-tests-", dir=place))
    root.chmod(0o755)
    return root


def _open_up(tree: Path) -> None:
    """Whatever the umask was when `tree` was made: all may read it, and execute what its owner may."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))


class Workspace:
    """The session's directory, with the processes that run in it."""

    def __init__(self) -> None:
        self.root = _make_root()
        self.running: dict[int, str] = {}
        self._made = 0
        self._copies: dict[Path, Path] = {}
        self._guard = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, str(self.root)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
        )

    def directory(self, name: str, *, mode: int = 0o700) -> Path:
        """A new directory that belongs to the servers' user."""
        self._made += 1
        path = self.root / f"{name}-{self._made}"
        path.mkdir()
        path.chmod(mode)
        self.give(path)
        return path

    def give(self, path: Path) -> Path:
        """Makes the servers' user the owner of `path`."""
        os.chown(path, *server_ids())
        return path

    def write(self, path: Path, text: str | bytes, *, mode: int = 0o600) -> Path:
        """Writes a file that belongs to the servers' user."""
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return self.give(path)

    def reachable(self, path: Path, *beside: Path) -> Path:
        """`path`, or a copy of that directory where the way to it is closed to the servers' user (as under /root).

        `beside` are directories that it needs in the same place relative to it.
        """
        if not is_root() or open_to_all(path):
            return path
        if path not in self._copies:
            top = Path(os.path.commonpath([path.parent, *beside]))
            copies = self.directory("copy", mode=0o755)
            for source in (path, *beside):
                copy = copies / source.relative_to(top)
                shutil.copytree(source, copy, symlinks=True)
                _open_up(copy)
            self._copies[path] = copies / path.relative_to(top)
        return self._copies[path]

    def run(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
        """Runs a command to its end as the servers' user; its output, or AssertionError with it."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(part) for part in argv],
            env={**self.environment(), **(env or {})},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **_identity(),
        )
        assert done.returncode == 0, f"{argv[0]} exited {done.returncode}: {done.stdout}"
        return done.stdout

    def spawn(
        self, argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a server as the servers' user, in a session of its own (so that Ctrl-C does not reach it)."""
        with log.open("ab") as output:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [str(part) for part in argv],
                env={**self.environment(), **(env or {})},
                cwd=cwd or self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_identity(),
            )
        self.watch(process.pid, Path(argv[0]).name)
        return process

    def watch(self, pid: int, name: str) -> None:
        """Has the guard end `pid` if the tests do not come to it."""
        self.running[pid] = name
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """`pid` has ended and been waited for."""
        self.running.pop(pid, None)
        self._tell(f"-{pid}\n")

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM, *, patience: float = 10.0) -> int:
        """Ends a spawned process with a signal, or the hard way after `patience` seconds; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            guard.send(guard.family({process.pid}), signal.SIGKILL)
            process.wait()
        self.forget(process.pid)
        return process.returncode

    def close(self) -> None:
        """Ends what still runs and removes the directory."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(30)

    def guard_pid(self) -> int:
        """The guard's own process, which is no leftover."""
        return self._guard.pid

    def environment(self) -> dict[str, str]:
        """The least that a process needs, and the mark."""
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": f"{path}:/usr/sbin:/sbin", "LANG": "C.UTF-8", "TZ": "UTC", MARK: str(self.root)}

    def _tell(self, line: str) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(line)
        self._guard.stdin.flush()


def _identity() -> dict[str, Any]:
    if not is_root():
        return {}
    user, group = server_ids()
    return {"user": user, "group": group, "extra_groups": []}


_made: list[Workspace] = []
_making = threading.Lock()


def workspace() -> Workspace:
    """The session's workspace, made when first asked for, by whichever thread; `tests/conftest.py` closes it."""
    with _making:
        if not _made:
            _made.append(Workspace())
        return _made[0]


def is_made() -> bool:
    """Whether anybody asked for it."""
    return bool(_made)
