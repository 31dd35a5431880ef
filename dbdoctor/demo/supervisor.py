"""The process beside the command that owns the embedded server: it starts it, and it always cleans up.

It lives in a session of its own, so that a terminal's Ctrl-C does not reach it, and it holds one end of a pipe. A line in
that pipe is its order; when the pipe closes, for whatever reason (the command ended, was interrupted, was killed with
`kill -9`), it stops the server, removes every file and ends. Signals only set a flag here: nothing interrupts cleaning up.
On stdout it reports one JSON object a line. Standard library only, started with `python -I -S`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess  # noqa: TID253 - this module is a process of its own, never loaded by a command
import time
from contextlib import suppress
from pathlib import Path

from dbdoctor.demo import cluster
from dbdoctor.demo.leash import Leash, ReleasedError, adopt_orphans, kill_descendants
from dbdoctor.demo.workplace import Account, CannotStartError, copy_installation, make_directory, server_account

# A loaded machine can be 50 times slower than the 0.4 s and 0.1 s that initdb and starting take.
_STEP_LIMIT = 60.0
_START_LIMIT = 30.0
# Fast shutdown, then immediate (the postmaster itself gives its children 5 s), then SIGKILL.
_STOP_LIMITS = ((signal.SIGINT, 4.0), (signal.SIGQUIT, 6.0))
_PORTS_TO_TRY = 5


class _Supervisor:
    """One embedded server, from nothing to nothing."""

    def __init__(self, order: dict[str, str], leash: Leash) -> None:
        self._install = Path(order["install"])
        self._libraries = Path(order["libraries"])
        self._order = order
        self._leash = leash
        self._account: Account | None = None
        self._complaint: str | None = None
        self._directory: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start, report, wait to be released, clean up."""
        try:
            self._start()
            while not self._leash.wait_for(self._running, 3600.0):
                pass
            raise CannotStartError("the embedded PostgreSQL ended by itself", cause=cluster.complaint(self._log()))
        except ReleasedError:
            pass
        finally:
            self._clean_up()

    @property
    def _place(self) -> Path:
        assert self._directory is not None
        return self._directory

    @property
    def _data(self) -> Path:
        return self._place / "data"

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    def _start(self) -> None:
        self._account = server_account()
        version = self._version(self._install)
        self._directory = make_directory(self._account, executable=version is None)
        if version is None:
            self._install = copy_installation(self._install, self._libraries, self._directory, self._account)
            version = self._version(self._install)
        if version is None:
            raise CannotStartError("the embedded PostgreSQL's programs do not run here", cause=self._complaint)
        _tell("progress", text=f"initialising a PostgreSQL {version} cluster")
        self._initialise()
        _tell("progress", text="starting it")
        port = self._start_server()
        _tell("ready", port=port, directory=str(self._directory), superuser=cluster.SUPERUSER)

    def _version(self, install: Path) -> str | None:
        """The server's major version; None (and `_complaint`) when its user may not run it where it is."""
        arguments = cluster.popen_arguments(self._account, self._directory or Path("/"))
        try:
            run = subprocess.run(  # noqa: S603 - the wheel's own program
                cluster.version_command(install), capture_output=True, check=False, **arguments
            )
        except OSError as error:
            self._complaint = str(error)
            return None
        self._complaint = cluster.complaint(run.stderr.decode(errors="replace"))
        return cluster.major_version(run.stdout.decode(errors="replace"))

    def _initialise(self) -> None:
        password_file = self._place / "password"
        password_file.touch(0o600)
        password_file.write_text(self._order["admin_password"] + "\n")
        if self._account is not None:
            os.chown(password_file, self._account.uid, self._account.gid)
        self._finish(
            cluster.initdb_command(self._install, self._data, password_file, self._place),
            failure="initdb could not make a PostgreSQL cluster",
        )
        password_file.unlink()
        self._finish(
            cluster.single_user_command(self._install, self._data),
            feed=cluster.ordinary_user(self._order["user"], self._order["password"], self._order["database"]),
            failure="the embedded PostgreSQL did not take its user and database",
        )

    def _finish(self, command: list[str], *, failure: str, feed: str = "") -> None:
        """Run a command to its end. Raises CannotStartError with `failure` when it complained or took too long."""
        process = self._run(command, feed)
        if not self._leash.wait_for(process, _STEP_LIMIT):
            raise CannotStartError(failure, cause=f"not done within {_STEP_LIMIT:.0f} s")
        # A single-user server answers 0 whatever became of its statements.
        if process.returncode != 0 or "ERROR:" in self._log():
            raise CannotStartError(failure, cause=cluster.complaint(self._log()))

    def _start_server(self) -> int:
        for _ in range(_PORTS_TO_TRY):
            port = _free_port()
            self._server = self._run(cluster.server_command(self._install, self._data, port))
            if self._wait_until_ready(self._server):
                return port
            if "could not bind" not in self._log():
                break  # else somebody took the port between our look and the server's
        raise CannotStartError("the embedded PostgreSQL did not start", cause=cluster.complaint(self._log()))

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        end = time.monotonic() + _START_LIMIT
        while time.monotonic() < end:
            # The server tells it in a file only; 5 ms is a fortieth of what starting takes.
            if self._leash.wait_for(process, 0.005):
                return False
            if cluster.is_ready(self._data, process.pid):
                return True
        raise CannotStartError(f"the embedded PostgreSQL was not ready within {_START_LIMIT:.0f} s")

    def _run(self, command: list[str], feed: str = "") -> subprocess.Popen[bytes]:
        arguments = cluster.popen_arguments(self._account, self._place)
        with (self._place / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - the wheel's own programs
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, **arguments
            )
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(feed.encode())
        return process

    def _log(self) -> str:
        with suppress(OSError):
            return (self._place / "log").read_bytes()[-65536:].decode(errors="replace")
        return ""

    def _clean_up(self) -> None:
        if self._server is not None:
            for number, seconds in _STOP_LIMITS:
                if self._server.poll() is None:
                    self._server.send_signal(number)
                    self._leash.wait_for(self._server, seconds, stopping=True)
        kill_descendants(self._leash)
        if self._directory is None:
            return
        cluster.remove_shared_memory(self._directory / "data", self._account)
        shutil.rmtree(self._directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tell(event: str, **values: object) -> None:
    with suppress(BrokenPipeError):  # the command is gone; its closed pipe says so too
        os.write(1, json.dumps({"event": event, **values}).encode() + b"\n")


def main() -> None:
    """Serve the command at the other end of stdin."""
    leash = Leash()
    if os.geteuid() == 0:
        with suppress(OSError):
            os.setgroups([])  # so that trying a path as another user tries it without root's groups
    adopt_orphans()
    order = leash.read_order()
    if not order:
        return
    try:
        _Supervisor(json.loads(order), leash).run()
    except CannotStartError as error:
        _tell("failed", what=error.what, cause=error.cause, help=error.help)
    except OSError as error:
        _tell("failed", what="the embedded PostgreSQL could not be started", cause=str(error), help=None)
