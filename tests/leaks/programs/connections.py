"""Leaks: connections, or whole engines, that are opened and forgotten."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from tests.leaks.programs.program import Host, leak, part, read, traffic


@leak(
    "every two seconds a connection in AUTOCOMMIT is opened for one query and forgotten: idle, no transaction, for ever"
)
def autocommit_forgotten(host: Host) -> None:
    engine = host.engine(isolation_level="AUTOCOMMIT", max_overflow=-1)
    host.ready()
    while True:
        connection = engine.connect()
        read(connection, host)
        host.kept.append(connection)
        host.sleep(2.0)


@leak("every request makes an engine of its own, and they are all kept: one pool with one connection for each request")
def engine_per_request_kept(host: Host) -> None:
    host.ready()
    while True:
        engine = host.engine()
        host.kept.append(engine)
        with engine.begin() as connection:
            read(connection, host)
        host.sleep(1.5)


@leak("every request makes an engine and drops it without dispose(): its session stays until Python collects garbage")
def engine_per_request_dropped(host: Host) -> None:
    host.ready()
    while True:
        engine = host.engine()
        with engine.begin() as connection:
            read(connection, host)
        del engine, connection
        host.sleep(0.7)


@leak("connections are opened ahead, for later, and nobody ever uses or closes one")
def raw_connections_never_used(host: Host) -> None:
    host.ready()
    while True:
        host.kept.append(host.raw_connection())
        host.sleep(2.0)


@leak("every thread keeps an engine of its own in a registry; the threads end, the registry and its sessions stay")
def engines_of_ended_threads(host: Host) -> None:
    registry: dict[str, object] = {}

    def job() -> None:
        engine = host.engine(pool_size=1)
        registry[threading.current_thread().name] = engine
        for _ in range(3):
            with engine.begin() as connection:
                read(connection, host)
            host.sleep(0.1)

    host.kept.append(registry)
    host.ready()
    while True:
        host.thread(job).join()
        host.sleep(1.5)


@leak("a pool is declared as 10 + 5, and 24 sessions are open: the code that took them works around it", alone=True)
def more_than_declared(host: Host) -> None:
    engine = host.engine(pool_size=10, max_overflow=-1)
    for _ in range(23):
        connection = engine.connect()
        read(connection, host)
        connection.rollback()
        host.kept.append(connection)
    host.ready()
    traffic(engine, host, think=(0.3, 1.0))


@part
def leak_at_a_constant_rate(host: Host) -> None:
    """One session each `PROGRAM_EVERY` seconds; says `refused` with the time when the server has no slot left for it."""
    from psycopg2 import OperationalError

    every, began = float(os.environ["PROGRAM_EVERY"]), time.monotonic()
    host.ready()
    with contextlib.suppress(OperationalError):
        while True:
            host.kept.append(host.raw_connection())
            host.sleep(max(0.0, began + len(host.kept) * every - time.monotonic()))
    print("refused", time.time(), flush=True)


@part
def many_sessions(host: Host) -> None:
    """`PROGRAM_SESSIONS` at rest, of ten applications; one in fifty is idle in transaction."""
    import psycopg2

    for number in range(int(os.environ["PROGRAM_SESSIONS"])):
        connection = psycopg2.connect(host.dsn, application_name=f"application-{number % 10}")
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        if number % 50:
            connection.commit()
        host.kept.append(connection)
    host.ready()


@part
def sessions_that_come_and_go(host: Host) -> None:
    """`PROGRAM_SESSIONS` in `PROGRAM_APPLICATIONS`; each `PROGRAM_PAUSE` seconds one closes and another opens.

    Without `PROGRAM_PAUSE`, two do at each line `go`.
    """
    import psycopg2

    applications = int(os.environ["PROGRAM_APPLICATIONS"])

    def open_one(number: int) -> None:
        connection = psycopg2.connect(host.dsn, application_name=f"application-{number % applications}")
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.commit()
        host.kept.append(connection)

    number = 0
    for number in range(int(os.environ["PROGRAM_SESSIONS"])):
        open_one(number)
    host.ready()
    pause = os.environ.get("PROGRAM_PAUSE")
    while True:
        if pause is None:
            host.await_go(again=True)
        for _ in range(2 if pause is None else 1):
            number += 1
            host.kept.pop(host.random.randrange(len(host.kept))).close()
            open_one(number)
        host.sleep(float(pause or 0))
