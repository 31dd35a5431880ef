"""Real programs on the tests' TDS server, judged: SQLAlchemy through both ODBC drivers, autocommit off and on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from dbdoctor.model.leaks import Verdict
from dbdoctor.model.session import IDLE, IDLE_IN_TRANSACTION
from tests.servers import odbc
from tests.servers.tds import TdsServer
from tests.servers.waiting import wait_until
from tests.watch.looking_sqlserver import (
    DRIVERS,
    PATIENCE,
    Watch,
    _drivers,
    codes,
    engine,
    find,
    furnish,
    source,
)

odbc.load()

__all__ = ["_drivers"]

SELECT = sa.text("SELECT amount FROM item WHERE id = 1")
INSERT = sa.text("INSERT INTO item (id, amount) VALUES (7, 1)")
CLOCKS = 0.1  # the server's clock ticks every 3 ms, and its sessions' times are of the request's start
UPDATE = sa.text("UPDATE item SET amount = amount + 1 WHERE id = 1")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(start_tds: Callable[..., TdsServer]) -> TdsServer:
    made = start_tds("2022")
    furnish(made)
    return made


@pytest.fixture
def watch(server: TdsServer) -> Iterator[Watch]:
    with source(server) as opened:
        yield Watch(opened)


def _fill(made: sa.Engine, number: int, *, commit: bool) -> None:
    """So many connections at once, all used and returned."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(made.connect())
            connection.execute(SELECT)
            if commit:
                connection.commit()


@pytest.mark.parametrize("commit", [False, True])
def test_an_idle_pool_is_well_although_its_transactions_are_open(
    commit: bool, server: TdsServer, driver: str, watch: Watch
) -> None:
    made = engine(server, driver, pool_size=5)
    _fill(made, 5, commit=commit)
    # What every monitor stumbles over: the drivers have begun the next transaction in each of them.
    pooled = [one for one in server.sessions.all_shown() if one.program_name == "shop"]
    assert [one.open_transaction_count for one in pooled] == [1] * 5
    report = watch.looks(1.5)
    assert not report.findings
    assert [(group.key.application, group.sessions, group.idle, group.verdict) for group in report.groups] == [
        ("shop", 5, 5, Verdict.OK)
    ]
    made.dispose()


def test_a_pool_with_autocommit_is_well(server: TdsServer, driver: str, watch: Watch) -> None:
    made = engine(server, driver, pool_size=3, isolation_level="AUTOCOMMIT")
    _fill(made, 3, commit=False)
    report = watch.looks(1.0)
    assert not report.findings
    assert report.groups[0].idle == 3
    made.dispose()


def test_a_pool_at_work_is_well(server: TdsServer, driver: str, watch: Watch) -> None:
    made = engine(server, driver, pool_size=3, max_overflow=0)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with made.begin() as connection:
                connection.execute(SELECT)
                connection.execute(UPDATE)
            time.sleep(0.02)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    report = watch.looks(3.0)
    over.set()
    for worker in workers:
        worker.join(PATIENCE)
    assert not report.findings
    made.dispose()


def test_an_insert_without_commit_is_a_leak(server: TdsServer, driver: str, watch: Watch) -> None:
    made = engine(server, driver, pool_size=5)
    _fill(made, 2, commit=True)
    time.sleep(0.05)
    leaked = made.connect()
    before = time.monotonic()
    leaked.execute(INSERT)
    after = time.monotonic()
    report = watch.looks(1.5)
    assert codes(report) == {"idle-in-transaction"}
    (one,) = [one for one in report.sessions if one.verdict is Verdict.LEAK]
    assert one.session.writes
    assert one.detail is not None
    assert (one.detail.statement or "").startswith("INSERT INTO item")
    assert (one.detail.log_bytes or 0) > 0
    least, most = watch.since(before, after)
    assert least - CLOCKS < (one.transaction_age or 0) < most + CLOCKS
    assert [one.session.state for one in report.sessions].count(IDLE) == 1
    leaked.close()
    made.dispose()


def test_a_leaked_checkout_that_only_read_is_a_leak(server: TdsServer, driver: str, watch: Watch) -> None:
    made = engine(server, driver, pool_size=5)
    _fill(made, 3, commit=True)
    time.sleep(0.05)
    leaked = [made.connect() for _ in range(2)]
    for connection in leaked:
        connection.execute(SELECT)
    report = watch.looks(1.5)
    assert codes(report) == {"idle-in-transaction"}
    assert [one.verdict for one in report.sessions] == [Verdict.LEAK, Verdict.LEAK, Verdict.OK]
    for connection in leaked:
        connection.close()
    report = watch.looks(0.6)
    assert report.groups[0].idle == 3
    made.dispose()


def test_a_transaction_that_rested_empty_is_as_old_as_its_first_request(
    server: TdsServer, driver: str, watch: Watch
) -> None:
    made = engine(server, driver, pool_size=1)
    _fill(made, 1, commit=True)
    time.sleep(1.0)
    with made.connect() as connection:
        connection.execute(SELECT)
        (session,) = watch.look().sessions
        assert session.state == IDLE_IN_TRANSACTION
        assert session.transaction_at is not None
        assert watch.history.at - session.transaction_at < 0.5
        first = session.transaction_at
        time.sleep(0.3)
        connection.execute(SELECT)
        (session,) = watch.look().sessions
        assert session.transaction_at == first
    assert watch.look().sessions[0].state == IDLE
    made.dispose()


def test_who_blocks_whom(server: TdsServer, driver: str, watch: Watch) -> None:
    made = engine(server, driver, pool_size=5)
    holder, waiter = made.connect(), made.connect()
    holder.execute(UPDATE)

    def wait() -> None:
        waiter.execute(UPDATE)
        waiter.rollback()

    blocked = threading.Thread(target=wait)
    before = time.monotonic()
    blocked.start()
    shown = server.sessions.all_shown
    wait_until(lambda: any(one.request and one.request.blocked_by for one in shown()), "a blocked session", PATIENCE)
    after = time.monotonic()
    report = watch.looks(1.5)
    assert {"idle-session-blocks", "idle-in-transaction"} <= codes(report)
    finding = next(one for one in report.findings if one.code == "idle-session-blocks")
    assert finding.evidence["waiting"] == 1
    assert watch.snapshot is not None
    (waiting,) = watch.snapshot.waiters
    assert find(watch.snapshot, waiting.id).waits_for == "Lock"
    assert find(watch.snapshot, waiting.blocked_by[0]).writes
    assert waiting.since is not None
    least, most = watch.since(before, after)
    assert least - CLOCKS < watch.snapshot.at - waiting.since < most + CLOCKS
    holder.rollback()
    blocked.join(PATIENCE)
    holder.close()
    waiter.close()
    report = watch.looks(0.6)
    assert report.groups[0].idle == 2
    made.dispose()


def test_an_engine_for_each_request_is_found(server: TdsServer, driver: str, watch: Watch) -> None:
    kept = []
    over = threading.Event()

    def serve() -> None:
        while not over.wait(0.4):
            made = engine(server, driver)
            with made.connect() as connection:
                connection.execute(SELECT)
            kept.append(made)

    requests = threading.Thread(target=serve)
    requests.start()
    report = watch.looks_until_found("engine-per-request")
    over.set()
    requests.join(PATIENCE)
    assert "engine-per-request" in codes(report)
    assert [group.verdict for group in report.groups] == [Verdict.LEAK]
    assert "idle-in-transaction" not in codes(report)
    for made in kept:
        made.dispose()


def test_a_raw_connection_in_which_only_the_driver_asked_is_idle(server: TdsServer, driver: str, watch: Watch) -> None:
    import pyodbc

    # After connecting pyodbc asks for the types of the server, within the transaction that the driver has begun.
    text = server.dsn(driver, APP="raw", WSID=f"fresh-{driver}")
    with contextlib.closing(pyodbc.connect(text, timeout=60, autocommit=False)):
        report = watch.looks(1.5)
        assert not report.findings
        assert [one.session.state for one in report.sessions] == [IDLE]
