"""A real HAProxy in TCP mode before a server, or before none."""

from __future__ import annotations

import subprocess
from typing import Self

from tests.servers.waiting import wait_for_port
from tests.servers.workspace import free_port, installed, workspace


class HAProxy:
    """HAProxy before `backends` (host, port); with none, or with dead ones, it takes a connection and ends it.

    `checked`: it looks whether a backend is up (each 100 ms) and gives nothing to one that is down; unchecked it tries.
    `idle_timeout`: after so long it ends a connection that says nothing (`timeout client`, `timeout server`).
    """

    def __init__(self, *backends: tuple[str, int], checked: bool = True, idle_timeout: str = "1h") -> None:
        self.port = free_port()
        self._directory = workspace().directory("haproxy")
        self._log = workspace().write(self._directory / "log", "")
        self._process: subprocess.Popen[bytes] | None = None
        check = " check inter 100 fall 1 rise 1" if checked else ""
        servers = [f"  server db{i} {host}:{port}{check}" for i, (host, port) in enumerate(backends)]
        self.configuration = "\n".join(
            [
                "global\n  maxconn 100",
                f"defaults\n  mode tcp\n  timeout connect 1s\n  timeout client {idle_timeout}",
                f"  timeout server {idle_timeout}\n  retries 0",
                f"frontend in\n  bind 127.0.0.1:{self.port}\n  default_backend out",
                "backend out",
                *servers,
                "",
            ]
        )

    def start(self) -> Self:
        """Starts it, and returns when it listens."""
        path = workspace().write(self._directory / "haproxy.cfg", self.configuration)
        self._process = workspace().spawn([installed("haproxy"), "-db", "-f", path], log=self._log)
        wait_for_port(self.port, self._process, self._log)
        return self

    def stop(self) -> None:
        """Ends it at once; no matter if ended."""
        if self._process is not None:
            workspace().stop(self._process)
            self._process = None

    @property
    def log(self) -> str:
        """What it has said so far: the backends that went down, among other things."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
