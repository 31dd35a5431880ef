"""Each fault, seen by bare psycopg2 through a relay.

What is told apart here mostly waits, so everything is seen at the same time, once, and then each test tells what came of
its own part.
"""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest

from dbdoctor.faults.kinds import all_faults
from dbdoctor.faults.kinds.failover_read_only import FailoverReadOnly
from dbdoctor.faults.kinds.slow_network import SlowNetwork
from tests.faults.relays import Path, Relays, wait_for
from tests.servers.postgresql import PostgresServer

pytestmark = [pytest.mark.timeout(240), pytest.mark.alone]

CLOSED = "server closed the connection unexpectedly"
TIMED_OUT = "could not receive data from server: Connection timed out"


def ask(connection: Any, sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def error_of(connection: Any, sql: str = "SELECT 1") -> str:
    with pytest.raises(psycopg2.Error) as caught:
        ask(connection, sql)
    return str(caught.value)


def hangs(connection: Any, seconds: float = 1.5) -> bool:
    """Whether a question has no answer after so long; the connection is cut then."""
    answered = threading.Event()

    def question() -> None:
        with contextlib.suppress(psycopg2.Error):
            ask(connection)
            answered.set()

    thread = threading.Thread(target=question)
    thread.start()
    hung = not answered.wait(seconds) and thread.is_alive()
    with contextlib.suppress(OSError), socket.socket(fileno=socket.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    return hung


def sessions(server: PostgresServer, pid: int) -> int:
    return int(server.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (pid,))[0][0])


Make = Callable[..., Path]

# What is to be seen, by its name; each is given the way to the server that it asks for.
SCENES: dict[str, Callable[[Make, PostgresServer], None]] = {}


def scene(*arguments: tuple[Any, ...]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have it seen, with each of these arguments."""

    def register(see: Callable[..., None]) -> Callable[..., None]:
        for values in arguments or ((),):
            name = "-".join([see.__name__.replace("_", " "), *(str(value) for value in values[:1])])
            SCENES[name] = lambda path, postgres, values=values: see(path, postgres, *values)  # type: ignore[misc]
        return see

    return register


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Future[None]]]:
    """What came of each scene."""
    with PostgresServer("embedded", settings={"max_connections": 200}) as postgres:
        relays = Relays(postgres)
        with ThreadPoolExecutor(len(SCENES)) as pool:
            make = functools.partial(_path, relays, postgres)
            found = {name: pool.submit(see, make, postgres) for name, see in SCENES.items()}
        yield found
        relays.close()


def _path(relays: Relays, postgres: PostgresServer, fault: str, idle: float = 0.3, **more: Any) -> Path:
    return Path(relays, postgres, fault, idle, **more)


@scene(
    ("closed", CLOSED),
    ("half-closed", CLOSED),
    ("reset", CLOSED),
    ("reset-on-use", CLOSED),
    ("tls-close", "SSL SYSCALL error: EOF detected"),
    ("tls-close-notify", "SSL connection has been closed unexpectedly"),
    ("idle-session-timeout", CLOSED),
)
def after_the_idle_time_the_next_use_fails_at_once(path: Make, postgres: PostgresServer, code: str, says: str):
    way = path(code)
    with contextlib.closing(way.connect()) as connection:
        assert ask(connection) == 1
        way.begin()
        way.struck()
        if code == "idle-session-timeout":
            select.select([connection.fileno()], [], [], 10)
        assert says in error_of(connection)
    with contextlib.closing(way.connect()) as again:
        assert ask(again) == 1


@scene(("silent-drop",), ("silent-drop-ignores-keepalive",), ("black-hole-proxy",))
def after_the_idle_time_the_next_use_hangs(path: Make, postgres: PostgresServer, code: str):
    way = path(code)
    with contextlib.closing(way.connect()) as connection:
        assert ask(connection) == 1
        way.struck()
        assert hangs(connection)


@scene()
def lost_packets_are_not_acknowledged(path: Make, postgres: PostgresServer):
    way = path("silent-drop")
    with contextlib.closing(way.connect(tcp_user_timeout=1000)) as connection:
        ask(connection)
        way.struck()
        began = time.monotonic()
        assert TIMED_OUT in error_of(connection)
        assert time.monotonic() - began > 0.9


@scene()
def a_proxy_that_hangs_acknowledges_everything(path: Make, postgres: PostgresServer):
    way = path("black-hole-proxy")
    with contextlib.closing(way.connect(tcp_user_timeout=500)) as connection:
        ask(connection)
        way.struck()
        assert hangs(connection, 3.0)


@scene(("silent-drop", True), ("reset", True), ("silent-drop-ignores-keepalive", False), ("closed", False))
def a_keepalive_restarts_the_clock_of_a_firewall_and_not_that_of_a_proxy(
    path: Make, postgres: PostgresServer, code: str, kept: bool
):
    way = path(code, 1.8)
    with contextlib.closing(way.connect(keepalives_idle=1, keepalives_interval=1)) as connection:
        ask(connection)
        time.sleep(2.6)  # nothing to wait for: the flow is to be left alone
        assert way.relay.flows[0].struck is not kept
        if kept:
            assert ask(connection) == 1


@scene(("lost-reply",), ("lost-reply-reset",))
def the_answer_of_a_long_query_is_lost(path: Make, postgres: PostgresServer, code: str):
    way = path(code, 0.4)
    with contextlib.closing(way.connect()) as connection:
        ask(connection)
        done = threading.Event()

        def question() -> None:
            with contextlib.suppress(psycopg2.Error):
                ask(connection, "SELECT 1 FROM pg_sleep(1)")
                done.set()

        thread = threading.Thread(target=question)
        thread.start()
        assert not done.wait(2.5)
        assert thread.is_alive()
        with socket.socket(fileno=socket.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@scene()
def a_reset_on_use_reaches_only_who_used_it(path: Make, postgres: PostgresServer):
    way = path("reset-on-use")
    with contextlib.closing(way.connect()) as connection:
        pid = connection.info.backend_pid
        ask(connection)
        way.struck()
        assert CLOSED in error_of(connection)
    assert sessions(postgres, pid) == 1
    postgres.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@scene()
def after_a_half_close_the_server_keeps_its_session(path: Make, postgres: PostgresServer):
    way = path("half-closed")
    with contextlib.closing(way.connect()) as connection:
        pid = connection.info.backend_pid
        ask(connection)
        way.struck()
        assert CLOSED in error_of(connection)
    assert sessions(postgres, pid) == 1
    assert way.relay.flows[0].is_orphan
    way.relays.do(way.relay.release_orphans)
    wait_for(lambda: sessions(postgres, pid) == 0)


@scene()
def a_dropped_connection_leaves_a_session_until_it_is_released(path: Make, postgres: PostgresServer):
    way = path("silent-drop")
    with contextlib.closing(way.connect()) as connection:
        pid = connection.info.backend_pid
        ask(connection)
        way.struck()
    assert sessions(postgres, pid) == 1
    way.relays.do(way.relay.release_orphans)
    wait_for(lambda: sessions(postgres, pid) == 0)


@scene()
def the_server_ends_transactions_that_are_idle_or_long(path: Make, postgres: PostgresServer):
    for code in ("idle-in-transaction-timeout", "transaction-timeout"):
        way = path(code)
        with contextlib.closing(way.connect()) as connection:
            connection.autocommit = False
            ask(connection)
            select.select([connection.fileno()], [], [], 10)
            assert CLOSED in error_of(connection)


@scene()
def an_administrator_ends_the_sessions(path: Make, postgres: PostgresServer):
    asked = threading.Event()
    way = path("terminated", terminate=asked.set)
    with contextlib.closing(way.connect()) as connection:
        ask(connection)
        way.begin()
        assert asked.wait(10)
        postgres.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        assert CLOSED in error_of(connection)


def _until_it_works(way: Path) -> list[str]:
    """What connecting says until it works again."""
    said = []
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            way.connect().close()
        except psycopg2.OperationalError as error:
            said.append(str(error))
            time.sleep(0.05)
        else:
            return said
    raise AssertionError(f"it never worked again: {said[-1:]}")


@scene(
    ("server-restart", "Connection refused"),
    ("reconnect-refused", "FATAL:  sorry, too many clients already"),
)
def for_some_seconds_nobody_is_let_in(path: Make, postgres: PostgresServer, code: str, says: str):
    way = path(code, 0.2)
    with contextlib.closing(way.connect()) as connection:
        ask(connection)
        way.begin()
        select.select([connection.fileno()], [], [], 10)
        assert CLOSED in error_of(connection)
    said = _until_it_works(way)
    assert said
    assert all(says in one for one in said), said


@scene()
def a_stalled_login_ends_with_its_own_timeout(path: Make, postgres: PostgresServer):
    way = path("login-stall", 0.2)
    way.connect().close()
    way.begin()
    time.sleep(0.3)  # the outage has begun and is not over: it lasts two seconds
    with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
        way.connect(connect_timeout=2)
    assert _until_it_works(way) == []


@scene()
def after_a_failover_the_old_connection_is_lost_and_a_new_one_waits_for_the_new_machine(
    path: Make, postgres: PostgresServer
):
    way = path("failover", 0.2)
    with contextlib.closing(way.connect(tcp_user_timeout=1000)) as connection:
        ask(connection)
        way.begin()
        time.sleep(0.3)  # the outage has begun and is not over: it lasts two seconds
        began = time.monotonic()
        assert TIMED_OUT in error_of(connection)
        way.connect().close()
        assert time.monotonic() - began > 1.2


@scene()
def after_a_failover_to_a_replica_reads_work_and_writes_do_not(path: Make, postgres: PostgresServer):
    way = path("failover-read-only", 0.2)
    write = "CREATE TEMPORARY TABLE t (x int); SELECT 1"
    with contextlib.closing(way.connect()) as connection:
        assert ask(connection, write) == 1
        way.begin()
        select.select([connection.fileno()], [], [], 10)
        assert CLOSED in error_of(connection)
    for parameters in ({}, {"options": "-c work_mem=1MB", "sslmode": "disable"}):
        with contextlib.closing(way.connect(**parameters)) as connection:
            assert ask(connection) == 1
            # A temporary table may be made even so, a permanent one not.
            assert "read-only transaction" in error_of(connection, "CREATE TABLE t (x int)")
            assert ask(connection, "SHOW work_mem") == ("1MB" if parameters else "4MB")
    with pytest.raises(psycopg2.OperationalError, match="session is read-only"):
        way.connect(target_session_attrs="read-write")
    fault = way.relay.fault
    assert isinstance(fault, FailoverReadOnly)
    wait_for(lambda: not fault.under_way)
    with contextlib.closing(way.connect(target_session_attrs="read-write")) as connection:
        assert ask(connection, write) == 1


@scene()
def a_slow_network_delays_each_way(path: Make, postgres: PostgresServer):
    way = path("slow-network", 0.2)
    with contextlib.closing(way.connect()) as connection:
        ask(connection)
        way.begin()
        fault = way.relay.fault
        assert isinstance(fault, SlowNetwork)
        wait_for(lambda: fault._slow)
        began = time.monotonic()
        ask(connection)
        assert time.monotonic() - began >= 0.4
        assert ask(connection, "SELECT length(repeat('x', 1000000))") == 1000000


@scene()
def a_large_answer_comes_whole_through_every_fault_that_has_not_struck(path: Make, postgres: PostgresServer):
    for code in all_faults():
        if code.startswith(("session-error", "azure", "killed")):
            continue  # SQL Server's own
        way = path(code, 30.0)
        with contextlib.closing(way.connect()) as connection:
            assert len(ask(connection, "SELECT repeat('x', 5000000)")) == 5000000, code
            assert ask(connection, f"SELECT length('{'y' * 3000000}')") == 3000000, code


@scene()
def five_dead_connections_used_one_after_the_other_cost_the_limit_once(path: Make, postgres: PostgresServer):
    import sqlalchemy

    way = path("silent-drop", 0.8)
    connect = functools.partial(way.connect, tcp_user_timeout=1000)
    engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=connect, pool_pre_ping=True)
    try:
        taken = [engine.connect() for _ in range(5)]
        for connection in taken:
            connection.close()
        wait_for(lambda: all(flow.struck for flow in way.relay.flows))
        took = []
        for _ in range(5):
            began = time.monotonic()
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            took.append(time.monotonic() - began)
    finally:
        engine.dispose()
    assert took[0] > 0.9, took
    assert all(one < 0.7 for one in took[1:]), took


@pytest.mark.parametrize("name", SCENES)
def test_faults(seen: dict[str, Future[None]], name: str):
    seen[name].result()
