"""The child process with the driver in it: started early, asked under a deadline, killed when it does not answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbdoctor.databases.odbc.errors import OdbcCrashedError, OdbcTimeoutError

if TYPE_CHECKING:
    import subprocess

_CHILD = Path(__file__).with_name("child.py")
# FreeTDS writes everything that goes over the wire to the file that this names.
_NOT_FOR_THE_CHILD = frozenset({"TDSDUMP", "TDSDUMPCONFIG"})


class DriverProcess:
    """One child; orders are answered one at a time. What is sent (a password is in it) goes through a pipe."""

    def __init__(self) -> None:
        import importlib.util
        import subprocess

        spec = importlib.util.find_spec("pyodbc")
        place = str(Path(spec.origin).parent) if spec and spec.origin else ""
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_THE_CHILD}
        self._left = b""
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 (our own file)
            [sys.executable, "-I", "-S", str(_CHILD), place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            process_group=0,  # Ctrl-C is ours to act on
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def ask(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send an order and wait for its answer. Raises OdbcTimeoutError (the child is killed then), OdbcCrashedError."""
        assert self._process.stdin is not None
        data = json.dumps(order).encode() + b"\n"
        end = time.monotonic() + seconds
        try:
            while data:  # a pipe takes 64 KiB at once, and orders are shorter
                data = data[self._process.stdin.write(data) or 0 :]
        except OSError:
            self._crashed()
        return self.answer(end, seconds)

    def answer(self, end: float, seconds: float) -> dict[str, Any]:
        """The next answer, until `end` on the monotonic clock."""
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        parts = [self._left]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([number], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.kill()
                raise OdbcTimeoutError(seconds)
            part = os.read(number, 1 << 20)
            if not part:
                self._crashed()
            parts.append(part)
        line, _, self._left = b"".join(parts).partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _crashed(self) -> None:
        self.kill()
        code = self._process.returncode
        raise OdbcCrashedError(-code if code < 0 else None)

    def end(self, seconds: float = 0.5) -> None:
        """Let it go by itself, which tells the server so; kill it when it takes longer. Never raises."""
        with contextlib.suppress(Exception):
            self._process.stdin.close()  # type: ignore[union-attr]
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End it at once and reap it. Never raises."""
        process = self._process
        with contextlib.suppress(Exception):
            if process.poll() is None:
                process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(Exception):
                pipe.close()  # type: ignore[union-attr]
        with contextlib.suppress(Exception):
            process.wait()
