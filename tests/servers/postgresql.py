"""Real PostgreSQL servers, 13 to 18: on a loopback port and a unix socket, without fsync, from a copied template."""

from __future__ import annotations

import contextlib
import functools
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg2

from tests.servers import guard
from tests.servers.binaries import major_of, program
from tests.servers.certificates import Pair
from tests.servers.waiting import wait_until
from tests.servers.workspace import free_port, workspace

SUPERUSER = "postgres"
PASSWORD = "superuser's p@ss/word"
DEFAULT_HBA = (
    "local all all scram-sha-256",
    "host all all all scram-sha-256",
    "host replication all all scram-sha-256",
)
DEFAULT_SETTINGS: Mapping[str, str | int] = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 40,
    "shared_buffers": "16MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "password_encryption": "scram-sha-256",
    "log_connections": "on",
    "log_line_prefix": "%m [%p] %e ",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@functools.cache
def _template(version: str, initdb_args: tuple[str, ...]) -> Path:
    """A data directory fresh from initdb; made once a session, copied for each server."""
    place = workspace().directory("template")
    password = workspace().write(place / "password", PASSWORD + "\n")
    how = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--pwfile={password}")
    workspace().run([program(version, "initdb"), "-D", place / "data", "-U", SUPERUSER, *how, *initdb_args])
    return place / "data"


def _copy(template: Path, data: Path) -> None:
    shutil.copytree(template, data, dirs_exist_ok=True)
    for path in (data, *data.rglob("*")):
        workspace().give(path)
    data.chmod(0o700)


class PostgresServer:
    """One server. `start` begins it; use it as a context manager, or call `stop`.

    `version` is one of `binaries.VERSIONS`; `settings` come after DEFAULT_SETTINGS; `hba` replaces DEFAULT_HBA;
    `tls` switches TLS on with that certificate; `standby_of` makes it a replica of a server of the same version;
    `standby` alone makes it one that waits for a primary; `environment` is added to the server's (LOCPATH).
    """

    def __init__(
        self,
        version: str = "embedded",
        *,
        settings: Mapping[str, str | int] | None = None,
        hba: Sequence[str] = DEFAULT_HBA,
        tls: Pair | None = None,
        standby: bool = False,
        standby_of: PostgresServer | None = None,
        environment: Mapping[str, str] | None = None,
        initdb_args: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self.version = version
        self.major = major_of(version)
        # A replica needs as many slots as the primary had when its data was made: initdb's 100.
        replica = {"max_connections": 100} if standby or standby_of else {}
        self.settings: dict[str, str | int] = {**DEFAULT_SETTINGS, **replica, **_tls_settings(tls), **(settings or {})}
        self.hba = list(hba)
        self.tls = tls
        self.port = port or free_port()
        self.environment = dict(environment or {})
        self.directory = workspace().directory(f"pg{version}")
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.socket_directory = str(self.directory)
        self.log_path = workspace().write(self.directory / "log", "")
        self._process: subprocess.Popen[bytes] | None = None
        _copy(_template(version, tuple(initdb_args)), self.data)
        if standby or standby_of:
            workspace().write(self.data / "standby.signal", "")
        if standby_of:
            self.settings["primary_conninfo"] = standby_of.conninfo(user=SUPERUSER, dbname=None)

    # Life

    def start(self, until: str = "ready", *, patience: float = 20.0) -> Self:
        """Starts it and waits for the state: "ready", "standby" (a replica that lets nobody in) or "starting"."""
        for attempt in range(5):
            if attempt:
                self.port = free_port()
            self._launch()
            if self._await_state(until, patience):
                return self
            if "Address already in use" not in self.log:
                break
            self.stop()
            workspace().write(self.log_path, "")
        log = self.log
        self.stop("immediate")
        raise AssertionError(f"PostgreSQL {self.version} did not get to {until!r}: {log}")

    def stop(self, mode: str = "fast", *, wait: bool = True) -> None:
        """Ends it: "smart" waits for sessions to leave, "fast" ends them, "immediate" is a crash; no matter if ended."""
        if self._process is None:
            return
        self.resume()
        if not wait:
            self._process.send_signal(STOP_SIGNALS[mode])
            return
        workspace().stop(self._process, STOP_SIGNALS[mode])
        self._process = None

    def restart(self, settings: Mapping[str, str | int] | None = None, *, until: str = "ready") -> Self:
        """Ends it and starts it again on the same port, with `settings` on top."""
        self.stop()
        self.settings.update(settings or {})
        return self.start(until)

    def reload(self, *, settings: Mapping[str, str | int] | None = None, hba: Sequence[str] | None = None) -> None:
        """Takes up new settings or access rules without a restart, and waits until they hold."""
        self.settings.update(settings or {})
        self.hba = list(hba if hba is not None else self.hba)
        before = self.log.count("SIGHUP")
        self._configure()
        self._running().send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.count("SIGHUP") > before, "the reload")

    def pause(self) -> None:
        """Freezes the server with all its sessions: the kernel still accepts connections, nothing answers."""
        guard.send(guard.family({self._running().pid}), signal.SIGSTOP)

    def resume(self) -> None:
        """Undoes `pause`."""
        guard.send(guard.family({self._running().pid}), signal.SIGCONT)

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")

    # Use

    @property
    def log(self) -> str:
        """What the server has logged so far; the lines carry the SQLSTATE."""
        return self.log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._running().pid

    def dsn(
        self,
        *,
        user: str | None = SUPERUSER,
        password: str | None = None,
        dbname: str | None = "postgres",
        host: str | None = "127.0.0.1",
        scheme: str = "postgresql",
        **parameters: str | int,
    ) -> str:
        """A URL. The superuser's password is filled in; `host=server.socket_directory` gives the unix socket's form."""
        password = PASSWORD if password is None and user == SUPERUSER else password
        login = quote(user, safe="") if user else ""
        login += f":{quote(password, safe='')}" if password else ""
        if host and host.startswith("/"):
            parameters = {"host": host, "port": self.port, **parameters}
            place = ""
        else:
            place = f"[{host}]:{self.port}" if host and ":" in host else f"{host}:{self.port}"
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        return f"{scheme}://{login}{'@' if login else ''}{place}/{quote(dbname or '', safe='')}{query}"

    def conninfo(self, **parameters: str | int | None) -> str:
        """The same as a `key=value` string; defaults as `connect` has them, None leaves a key out."""
        from psycopg2.extensions import make_dsn

        return str(make_dsn(**self._parameters(parameters)))

    def connect(self, **parameters: str | int | None) -> Any:
        """A psycopg2 connection in autocommit, as the superuser unless `user=` says otherwise; the caller closes it."""
        connection = psycopg2.connect(**self._parameters(parameters))
        connection.autocommit = True
        return connection

    def execute(self, sql: str, values: Sequence[object] | None = None, **parameters: str | int | None) -> list[Any]:
        """Runs SQL on a connection of its own, as `connect`; the rows, or an empty list."""
        with contextlib.closing(self.connect(**parameters)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    # Inside

    def _parameters(self, parameters: Mapping[str, str | int | None]) -> dict[str, Any]:
        default = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": SUPERUSER,
            "dbname": "postgres",
            "connect_timeout": 10,
        }
        merged: dict[str, Any] = {**default, **parameters}
        if merged["user"] == SUPERUSER:
            merged.setdefault("password", PASSWORD)
        return {key: value for key, value in merged.items() if value is not None}

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not started"
        return self._process

    def _configure(self) -> None:
        lines = [f"{name} = {_quoted(value)}" for name, value in self.settings.items()]
        workspace().write(self.data / "postgresql.conf", "\n".join(lines) + "\n")
        workspace().write(self.data / "pg_hba.conf", "\n".join(self.hba) + "\n")

    def _launch(self) -> None:
        self._configure()
        argv: list[str | Path] = [
            program(self.version, "postgres"),
            "-D",
            self.data,
            "-p",
            str(self.port),
            "-k",
            self.directory,
        ]
        self._process = workspace().spawn(argv, log=self.log_path, env=self.environment, cwd=self.data)

    def _state(self) -> str:
        with contextlib.suppress(OSError, IndexError):
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip()
        return ""

    def _await_state(self, until: str, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self._running().poll() is None and time.monotonic() < deadline:
            if self._state() == until:
                return True
            time.sleep(0.01)
        return False


def _quoted(value: str | int) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _tls_settings(tls: Pair | None) -> dict[str, str]:
    if tls is None:
        return {}
    files = {"ssl_cert_file": tls.certificate, "ssl_key_file": tls.key, "ssl_ca_file": tls.authority}
    return {"ssl": "on", **{name: str(path) for name, path in files.items()}}


# Tests wait for a server's log with it.
_await = wait_until
