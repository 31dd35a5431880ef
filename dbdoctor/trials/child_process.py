"""A process of ours beside the command, with a socket between them: it ends when its end of that does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_LAST_WORDS = 5.0
# The command has read them, and what the child needs of them crosses the socket.
_SECRET = frozenset({"DATABASE_URL", "DBDOCTOR_DSN", "PGPASSWORD"})


@contextlib.contextmanager
def child_process(module: str) -> Iterator[socket.socket]:
    """Runs `python -m module N` and gives our end of the socket whose number N is; afterwards the process is gone."""
    with contextlib.ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        with theirs, _uninterrupted():
            stack.callback(_end, _start(module, theirs), ours)
        yield ours


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: a process that has begun is known to whoever ends it. The process undoes it for itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(module: str, end: socket.socket) -> subprocess.Popen[bytes]:
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name not in _SECRET}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        [sys.executable, "-m", module, str(end.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        pass_fds=[end.fileno()],
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes], end: socket.socket) -> None:
    """It ends with its socket, and its children with it; if not, it is killed."""
    import subprocess

    end.close()
    try:
        process.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
