"""The demo's flawed shop: its files, its database's tables, its firewall and its processes.

Everything is in one directory of its own, and everything started ends with its standard input, however this process ends.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbdoctor.demo.fixes import FIXES, Fix
from dbdoctor.errors import CannotLookError
from dbdoctor.model.target import Target

if TYPE_CHECKING:
    import subprocess

_SOURCE = Path(__file__).with_name("shop")
_TABLES = """
CREATE TABLE articles (id int PRIMARY KEY, name text NOT NULL, price numeric NOT NULL);
INSERT INTO articles SELECT n, 'article ' || n, n * 1.5 FROM generate_series(1, 10) n;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, paid int NOT NULL DEFAULT 0);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 20) n;
"""
_CONFIG = """\
default = "shop"

# The shop's database.
[targets.shop]
dsn = "postgresql+psycopg2://{user}@{host}:{port}/{database}"
passfile = "password"
processes = 1

# The same, from the other side of the firewall, where the newsletter is sent from.
[targets.through-firewall]
dsn = "postgresql+psycopg2://{user}@127.0.0.1:{firewall_port}/{database}"
passfile = "password"
processes = 1
"""
_PATIENCE = 30.0  # seconds for a process of ours to begin or to end, on a busy machine
_OPEN = 4  # services that have used the database: payments, when mended, first waits for the bank


class Shop:
    """The shop's files in `directory`, with a `dbdoctor.toml` beside them; `start` and `stop` run it."""

    def __init__(self, directory: Path, target: Target, firewall_port: int, firewall: str) -> None:
        self.directory = directory
        self.recordings = directory / "recordings"
        self.firewall = firewall
        self._target = target
        self._firewall_port = firewall_port
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write the files and make the tables. Raises CannotLookError when the server does not let us."""
        shutil.copytree(_SOURCE, self.directory / "shop", ignore=shutil.ignore_patterns("__pycache__"))
        endpoint = self._target.endpoints[0]
        places = {
            "user": self._target.user,
            "host": endpoint.host,
            "port": endpoint.port,
            "database": self._target.database,
            "firewall_port": self._firewall_port,
        }
        (self.directory / "dbdoctor.toml").write_text(_CONFIG.format(**places))
        password = self.directory / "password"
        password.touch(0o600)
        password.write_text(f"*:*:*:*:{self._password()}\n")
        self._make_tables()

    def apply(self, fixes: tuple[Fix, ...] = FIXES) -> None:
        """Mend the shop's code."""
        for fix in fixes:
            file = self.directory / "shop" / fix.name
            text = file.read_text()
            assert fix.old in text, f"{fix.name} is not as it was"
            file.write_text(text.replace(fix.old, fix.new))

    def start(self, *, leak_after: str, recordings: Path, slowness: float = 1.0) -> None:
        """Run all services under the recorder; its files go to `recordings`. `slowness` divides the customers."""
        import subprocess

        command = ["run", "--quiet", "--out", str(recordings), "--leak-after", leak_after, "--"]
        with (self.directory / "shop.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "dbdoctor", *command, sys.executable, "-m", "shop"],
                cwd=self.directory,
                env=self.environment() | {"PYTHONDONTWRITEBYTECODE": "1", "SHOP_SLOWNESS": f"{slowness:g}"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_open(self, recordings: str) -> None:
        """Until the services have recorded their first checkouts. Raises CannotLookError when that takes too long."""
        import time

        end = time.monotonic() + _PATIENCE
        while len(list((self.directory / recordings).glob("*.jsonl"))) < _OPEN:
            if time.monotonic() > end or (self._process and self._process.poll() is not None):
                log = (self.directory / "shop.log").read_text(errors="replace").strip().splitlines()
                raise CannotLookError("the demo's shop did not open", cause=log[-1] if log else None)
            time.sleep(0.05)

    def open(self) -> None:
        """Let time go on in the shop."""
        self._say(b"open\n")

    def close(self) -> None:
        """Let time stand still in the shop: nothing leaks further while somebody reads."""
        self._say(b"close\n")

    def _say(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def sessions(self) -> int | None:
        """How many sessions the shop has on the server; None when that refuses us."""
        import psycopg2

        try:
            connection = self._connect()
        except psycopg2.OperationalError:
            return None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'shop-%'")
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    @property
    def dsn(self) -> str:
        """The shop's database for another shell, with its password in a file."""
        endpoint = self._target.endpoints[0]
        return (
            f"{self._url(str(endpoint.host), int(endpoint.port or 0))}?passfile={self.directory / 'password'}".replace(
                "+psycopg2", ""
            )
        )

    def stop(self) -> None:
        """End it and wait for its end."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def environment(self) -> dict[str, str]:
        """What the shop and the commands run with: no settings of the caller's own."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "DBDOCTOR", "DATABASE_"))
        }
        endpoint = self._target.endpoints[0]
        return kept | {
            "SHOP_DATABASE_URL": self._url(str(endpoint.host), int(endpoint.port or 0)),
            "SHOP_DATABASE_URL_THROUGH_FIREWALL": self._url("127.0.0.1", self._firewall_port),
            "PGPASSFILE": str(self.directory / "password"),
        }

    def _url(self, host: str, port: int) -> str:
        return f"postgresql+psycopg2://{self._target.user}@{host}:{port}/{self._target.database}"

    def _password(self) -> str:
        return self._target.password.reveal() if self._target.password else ""

    def _connect(self) -> Any:
        import psycopg2

        endpoint = self._target.endpoints[0]
        return psycopg2.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=self._target.user,
            password=self._password(),
            dbname=self._target.database,
        )

    def _make_tables(self) -> None:
        import psycopg2

        try:
            with self._connect() as connection:
                connection.cursor().execute(_TABLES)
            connection.close()
        except psycopg2.Error as error:
            raise CannotLookError("the shop's tables could not be made", cause=str(error).splitlines()[0]) from None


@contextmanager
def open_shop(target: Target, *, idle_timeout: float) -> Iterator[Shop]:
    """The shop before this server, not started yet; its mail goes through a firewall with this idle timeout (seconds)."""
    import tempfile

    endpoint = target.endpoints[0]
    with (
        tempfile.TemporaryDirectory(prefix="dbdoctor-demo-", ignore_cleanup_errors=True) as directory,
        _firewall(str(endpoint.host), int(endpoint.port or 0), idle_timeout, directory) as (port, how),
    ):
        shop = Shop(Path(directory).resolve(), target, port, how)
        try:
            shop.prepare()
            yield shop
        finally:
            shop.stop()


@contextmanager
def _firewall(host: str, port: int, idle_timeout: float, directory: str) -> Iterator[tuple[int, str]]:
    import subprocess

    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "dbdoctor.demo.firewall", host, str(port), str(idle_timeout), directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        with process.stdout:
            words = process.stdout.readline().split()
            if len(words) != 2:
                raise CannotLookError("the demo's firewall did not start")
            yield int(words[0]), words[1].decode()
    finally:
        with suppress(OSError):
            assert process.stdin is not None
            process.stdin.write(b"bye")
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    import subprocess

    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
