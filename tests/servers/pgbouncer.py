"""A real PgBouncer before a server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

from tests.servers.postgresql import PASSWORD, SUPERUSER
from tests.servers.waiting import wait_for_port
from tests.servers.workspace import free_port, installed, workspace


class PgBouncer:
    """PgBouncer before the port `server_port` of this machine; a context manager.

    `users` go into the userlist with their passwords, the superuser among them; `databases` maps names to lines like
    `host=127.0.0.1 port=1`, by default every database (`*`) of the server; `settings` are of the [pgbouncer] section.
    """

    def __init__(
        self,
        server_port: int,
        *,
        pool_mode: str = "transaction",
        auth_type: str = "scram-sha-256",
        users: Mapping[str, str] | None = None,
        databases: Mapping[str, str] | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
        self.port = free_port()
        self.users = {SUPERUSER: PASSWORD, **(users or {})}
        self.databases = dict(databases or {"*": f"host=127.0.0.1 port={server_port}"})
        self._directory = workspace().directory("pgbouncer")
        self._log = workspace().write(self._directory / "log", "")
        self._process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str | int] = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": str(self._directory),
            "auth_type": auth_type,
            "auth_file": str(self._directory / "users"),
            "pool_mode": pool_mode,
            "admin_users": SUPERUSER,
            # At once, not after the 15 s of the default: a test waits for it.
            "server_login_retry": 1,
            **(settings or {}),
        }

    def start(self) -> Self:
        """Starts it, and returns when it listens."""
        lines = ["[databases]", *(f"{name} = {place}" for name, place in self.databases.items())]
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in self.settings.items())]
        configuration = workspace().write(self._directory / "pgbouncer.ini", "\n".join(lines) + "\n")
        users = (f'"{name}" "{password.replace(chr(34), chr(34) * 2)}"' for name, password in self.users.items())
        workspace().write(self._directory / "users", "\n".join(users) + "\n")
        self._process = workspace().spawn([installed("pgbouncer"), configuration], log=self._log)
        wait_for_port(self.port, self._process, self._log)
        return self

    def stop(self) -> None:
        """Ends it at once; no matter if ended."""
        if self._process is not None:
            workspace().stop(self._process)
            self._process = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "PgBouncer is not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace")

    def dsn(self, *, user: str = SUPERUSER, password: str | None = None, dbname: str = "postgres") -> str:
        """A URL through PgBouncer; the passwords of `users` are filled in."""
        password = self.users.get(user) if password is None else password
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{quote(user, safe='')}{secret}@127.0.0.1:{self.port}/{quote(dbname, safe='')}"

    def execute(self, sql: str, *, dbname: str = "postgres", user: str = SUPERUSER) -> list[Any]:
        """Runs one statement through PgBouncer, or with `dbname="pgbouncer"` on its console."""
        import contextlib

        import psycopg2

        with contextlib.closing(psycopg2.connect(self.dsn(user=user, dbname=dbname), connect_timeout=10)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
