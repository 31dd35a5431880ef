"""What a program is, and what each is given: its engine, its clock and its end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True)
class Program:
    """One program. `leaks` is its label, `why` the reason; `after` names one that must be ready before it starts.

    `prepares` is the name of the two-phase transaction that is all that is left of it on the server. `more` are the
    programs of the second set: the same kinds of life, lived otherwise. `alone` says that it logs in by a role of its
    own, as an application does whose pool somebody declared. `unseen` says that the server cannot tell it from a healthy
    one, which only the recorder in it can.
    """

    name: str
    run: Callable[[Host], None]
    leaks: bool
    why: str
    after: str | None = None
    prepares: str | None = None
    more: bool = False
    alone: bool = False
    unseen: bool = False

    @property
    def label(self) -> str:
        """`leak` or `healthy`."""
        return "leak" if self.leaks else "healthy"


PROGRAMS: dict[str, Program] = {}
PARTS: dict[str, Callable[[Host], None]] = {}

Run = Callable[["Host"], None]


def _name_of(run: Run) -> str:
    return run.__name__.replace("_", "-")


def leak(
    why: str, *, prepares: str | None = None, more: bool = False, alone: bool = False, unseen: bool = False
) -> Callable[[Run], Run]:
    """Registers a program that leaks, and why that is a leak."""

    def register(run: Run) -> Run:
        PROGRAMS[_name_of(run)] = Program(_name_of(run), run, True, why, None, prepares, more, alone, unseen)
        return run

    return register


def healthy(why: str, *, after: str | None = None, more: bool = False) -> Callable[[Run], Run]:
    """Registers a program that does nothing wrong, and why what it does is right."""

    def register(run: Run) -> Run:
        PROGRAMS[_name_of(run)] = Program(_name_of(run), run, False, why, after, None, more)
        return run

    return register


def part(run: Run) -> Run:
    """Registers what a further process of some program does: `host.start_part` starts it."""
    PARTS[_name_of(run)] = run
    return run


class Host:
    """The process that a program runs in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.random = random.Random(name + os.environ.get("PROGRAM_SEED", ""))
        self.kept: list[Any] = []
        self._go = threading.Event()
        if not os.environ.get("PROGRAM_AWAITS_GO"):
            self._go.set()
        threading.Thread(target=self._read_stdin, daemon=True).start()

    # The database

    @property
    def application_name(self) -> str | None:
        """What it calls itself; None when it does not."""
        return None if os.environ.get("PROGRAM_NAMELESS") else self.name

    @property
    def dsn(self) -> str:
        """Where the server is."""
        return os.environ["PROGRAM_DSN"]

    def connect_args(self, application_name: str | None = None) -> dict[str, str]:
        """What psycopg2 is given beside the DSN."""
        name = application_name or self.application_name
        return {"application_name": name} if name else {}

    def engine(self, dsn: str | None = None, *, application_name: str | None = None, **arguments: Any) -> Engine:
        """An engine as `create_engine(**arguments)` makes it, with psycopg2."""
        from sqlalchemy import create_engine, make_url

        url = make_url(dsn or self.dsn).set(drivername="postgresql+psycopg2")
        return create_engine(url, connect_args=self.connect_args(application_name), **arguments)

    def async_engine(self, **arguments: Any) -> AsyncEngine:
        """An asynchronous one, with asyncpg."""
        from sqlalchemy import make_url
        from sqlalchemy.ext.asyncio import create_async_engine

        url = make_url(self.dsn).set(drivername="postgresql+asyncpg")
        named = {"application_name": self.application_name} if self.application_name else {}
        return create_async_engine(url, connect_args={"server_settings": named}, **arguments)

    def raw_connection(self) -> Any:
        """A connection of psycopg2 itself."""
        import psycopg2

        return psycopg2.connect(self.dsn, application_name=self.application_name or "")

    def item(self) -> dict[str, Any]:
        """The values of `:program` and `:id` for one of the rows that this program has to itself."""
        return {"program": self.name, "id": self.random.randrange(1, 201)}

    # Its life

    def ready(self) -> None:
        """Says that the behaviour is reached."""
        print("ready", flush=True)

    def await_go(self, *, again: bool = False) -> None:
        """Returns when the course of the behaviour shall begin; with `again`, the next call waits for the next `go`."""
        self._go.wait()
        if again:
            self._go.clear()

    def sleep(self, least: float, most: float | None = None) -> None:
        """For `least` seconds, or for a time between the two."""
        threading.Event().wait(least if most is None else self.random.uniform(least, most))

    def rest(self) -> None:
        """Does nothing until the end."""
        threading.Event().wait()

    def thread(self, target: Callable[..., object], *arguments: object) -> threading.Thread:
        """Starts one; when it fails the whole program does."""

        def run() -> None:
            try:
                target(*arguments)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def start_part(self, run: Run) -> subprocess.Popen[str]:
        """A further process of this program that does `run`, once it is ready; it ends at the end of its stdin."""
        words = [sys.executable, "-m", "tests.leaks.programs", self.name, _name_of(run)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"{run.__name__} did not get ready"
        self.kept.append(process)
        return process

    @staticmethod
    def end_part(process: subprocess.Popen[str]) -> None:
        """Ends it, and returns when it has."""
        assert process.stdin is not None
        process.stdin.close()
        process.wait()

    def _read_stdin(self) -> None:
        for line in sys.stdin:
            if line == "go\n":
                self._go.set()
        os._exit(0)


# What programs do again and again


def read(connection: Connection, host: Host) -> None:
    """One small query."""
    from sqlalchemy import text

    connection.execute(text("select amount from item where program = :program and id = :id"), host.item())


def write(connection: Connection, host: Host) -> None:
    """One small write."""
    from sqlalchemy import text

    connection.execute(text("update item set amount = amount + 1 where program = :program and id = :id"), host.item())


def fill(engine: Engine, connections: int) -> None:
    """Has so many connections out at the same time, once, and gives them back."""
    out = [engine.connect() for _ in range(connections)]
    for connection in out:
        connection.exec_driver_sql("select 1")
    for connection in out:
        connection.close()


@contextmanager
def transaction(engine: Engine, host: Host) -> Iterator[Connection]:
    """A request as it should be: a read and a write in one transaction, its end sure; what is in between is inside."""
    with engine.begin() as connection:
        read(connection, host)
        yield connection
        write(connection, host)


def traffic(engine: Engine, host: Host, think: tuple[float, float], work: tuple[float, float] = (0.0, 0.02)) -> None:
    """One worker that serves requests for ever, with a think time between and some work within each (seconds)."""
    while True:
        with transaction(engine, host):
            host.sleep(*work)
        host.sleep(*think)
