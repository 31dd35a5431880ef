"""Waiting for a server without guessing how long it takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(true: Callable[[], bool], what: str, patience: float = 60.0) -> None:
    """Returns as soon as `true()`; AssertionError that names `what` when it is not within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        time.sleep(0.01)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens on that IPv4 port, without connecting to it (a proxy would pass that on)."""
    place = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1] == place and row[3] == "0A" for row in rows)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns as soon as the port is listened on; AssertionError with the log when the process ends before."""

    def ready() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}: {log.read_text()}"
        return listens(port)

    wait_until(ready, f"port {port} of {process.args!r}")
