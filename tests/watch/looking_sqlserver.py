"""A SqlServerSource on the tests' own TDS server, watches of it that are judged, and programs beside it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from dbdoctor.history import History
from dbdoctor.model.leaks import LeaksReport, WatchOptions
from dbdoctor.model.session import Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.rules.sessions import judge_leaks
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.sqlserver_source import SqlServerSource
from tests.servers import odbc
from tests.servers.tds import TdsServer

PATIENCE = 30.0
DRIVERS = ("microsoft", "freetds")


@pytest.fixture(autouse=True)
def _drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the driver finds what the tests have installed."""
    for name, value in odbc.environment().items():
        monkeypatch.setenv(name, value)


@contextlib.contextmanager
def source(server: TdsServer, driver: str = "microsoft", **keywords: object) -> Iterator[SqlServerSource]:
    """Logged in."""
    made = SqlServerSource(parse_dsn(server.dsn(driver, **keywords), environment={}))
    try:
        made.open(PATIENCE)
        yield made
    finally:
        made.close()


def find(snapshot: Snapshot, number: int) -> Session:
    """The session with this id."""
    return next(session for session in snapshot.sessions if session.id == number)


class Watch:
    """Looks and judges as `leaks` does."""

    def __init__(self, source: SqlServerSource, *, idle_in_transaction: float = 0.5, idle: float = 300.0) -> None:
        self.source = source
        self.history = History(WatchOptions(idle=idle, idle_in_transaction=idle_in_transaction))
        self.snapshot: Snapshot | None = None
        self.asked = self.answered = 0.0  # the last look, by the monotonic clock

    def look(self) -> Snapshot:
        """One turn of the loop."""
        self.asked = time.monotonic()
        snapshot = self.source.look(PATIENCE, thorough=True)
        if wanted := self.history.wanted(snapshot):
            snapshot = self.source.explain(snapshot, wanted, PATIENCE)
        self.history.add(snapshot)
        self.snapshot = snapshot
        self.answered = time.monotonic()
        return snapshot

    def looks(self, seconds: float, every: float = 0.2) -> LeaksReport:
        """For so long at least, the last look being after that; what is to be said then."""
        end = time.monotonic() + seconds
        while self.asked < end:
            self.look()
            time.sleep(every)
        return self.report()

    def looks_until_found(self, code: str, patience: float = 90.0, every: float = 0.3) -> LeaksReport:
        """Until there is such a finding, or patience ends; what is to be said then."""
        end = time.monotonic() + patience
        while code not in codes(report := self.looks(every)) and time.monotonic() < end:
            pass
        return report

    def since(self, before: float, after: float) -> tuple[float, float]:
        """How long ago, at the last look, something happened between the two (monotonic seconds): at least, at most."""
        return self.asked - after, self.answered - before

    def report(self) -> LeaksReport:
        """What is to be said now."""
        return judge_leaks(self.history, self.source.target, None, with_sessions=True)


def codes(report: LeaksReport) -> set[str]:
    """Of its findings."""
    return {finding.code for finding in report.findings}


def engine(server: TdsServer, driver: str, **options: Any) -> sa.Engine:
    """An application's engine; its name is `shop`."""
    return sa.create_engine(server.url(driver, APP="shop", ConnectRetryCount=0), **options)


def furnish(server: TdsServer) -> None:
    """A table that programs write to."""
    made = engine(server, "microsoft", poolclass=sa.NullPool)
    with made.begin() as connection:
        connection.execute(sa.text("CREATE TABLE item (id INT PRIMARY KEY, amount INT)"))
        connection.execute(sa.text("INSERT INTO item (id, amount) VALUES (1, 10), (2, 20)"))
    made.dispose()
    server.sessions.wait_for(0)
