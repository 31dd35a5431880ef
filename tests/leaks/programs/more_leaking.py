"""The second set's leaks: other paces, other drivers, other places in the program."""

from __future__ import annotations

import contextlib
import threading

from tests.leaks.programs.program import Host, leak, part, read, traffic, write


@leak("one of a busy pool's connections was kept by a request that has long ended; the others work", more=True)
def one_kept_in_a_busy_pool(host: Host) -> None:
    engine = host.engine(pool_size=6)
    connection = engine.connect()
    connection.exec_driver_sql("insert into audit (program) values ('kept')")
    host.kept.append(connection)
    host.ready()
    for _ in range(3):
        host.thread(traffic, engine, host, (0.2, 0.8), (0.0, 0.2))


@leak(
    "a connection was taken, SELECT 1 was asked, and it was never given back: no lock, and a transaction all the same",
    more=True,
)
def kept_after_select_1(host: Host) -> None:
    connection = host.engine().connect()
    connection.exec_driver_sql("select 1")
    host.kept.append(connection)
    host.ready()


@leak("an engine for each job, a job every 4 s, ten of them before anybody looked: slow, and never less", more=True)
def engine_per_job_slowly(host: Host) -> None:
    def job() -> None:
        engine = host.engine(pool_size=2)
        host.kept.append(engine)
        with engine.begin() as connection:
            write(connection, host)

    for _ in range(10):
        job()
    host.ready()
    while True:
        host.sleep(3.5, 4.5)
        job()


@leak(
    "psycopg2 without a pool: a connection for each request, one query, never closed, its transaction open", more=True
)
def raw_connections_after_a_query(host: Host) -> None:
    host.ready()
    while True:
        connection = host.raw_connection()
        with connection.cursor() as cursor:
            cursor.execute("select amount from item where program = %s and id = 1", (host.name,))
        host.kept.append(connection)
        host.sleep(3.0)


@leak("asyncpg: an AsyncSession is opened for each request and never closed, one more every 2 s", more=True)
def async_sessions_never_closed(host: Host) -> None:
    import asyncio

    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession

    async def serve() -> None:
        engine = host.async_engine(max_overflow=-1)
        host.ready()
        while True:
            session = AsyncSession(engine)
            await session.execute(text("select amount from item where program = :program and id = :id"), host.item())
            host.kept.append(session)
            await asyncio.sleep(2.0)

    asyncio.run(serve())


@leak(
    "an error in a savepoint was rolled back to the savepoint, and then the whole transaction was forgotten", more=True
)
def forgotten_after_a_savepoint(host: Host) -> None:
    from sqlalchemy.exc import IntegrityError

    connection = host.engine().connect()
    write(connection, host)
    with contextlib.suppress(IntegrityError), connection.begin_nested():
        connection.exec_driver_sql("insert into item (program, id) values ('shared', 1)")
    host.kept.append(connection)
    host.ready()


@leak(
    "eight threads used a scoped_session and ended without remove(): eight transactions that nobody will end", more=True
)
def scoped_sessions_of_ended_threads(host: Host) -> None:
    from sqlalchemy import text
    from sqlalchemy.orm import scoped_session, sessionmaker

    # As a web framework's own registry, which outlives the thread.
    number = threading.local()
    sessions = scoped_session(sessionmaker(host.engine(pool_size=10)), scopefunc=lambda: number.value)

    def work(value: int) -> None:
        number.value = value
        sessions.execute(text("select count(*) from item where program = :program"), {"program": host.name})

    for value in range(8):
        host.thread(work, value).join()
    host.kept.append(sessions)
    host.ready()


@leak("a nightly job wrote its rows, forgot to commit, and its process waits for the next night", more=True)
def job_that_forgot_to_commit(host: Host) -> None:
    connection = host.engine().connect()
    for _ in range(50):
        write(connection, host)
    host.kept.append(connection)
    host.ready()


@leak("three workers read an order and call a slow service for 8 to 12 s before they end the transaction", more=True)
def reads_across_slow_calls(host: Host) -> None:
    engine = host.engine()

    def work() -> None:
        while True:
            with engine.begin() as connection:
                read(connection, host)
                host.sleep(8.0, 12.0)
            host.sleep(0.2, 1.0)

    for _ in range(3):
        host.thread(work)
    host.ready()


@leak("one of four worker processes loses a connection every 3 s; the others are as they should be", more=True)
def one_worker_of_four_leaks(host: Host) -> None:
    from tests.leaks.programs.processes import web_worker

    for _ in range(3):
        host.start_part(web_worker)
    host.start_part(web_worker_that_leaks)
    host.ready()


@part
def web_worker_that_leaks(host: Host) -> None:
    engine = host.engine(pool_size=2, max_overflow=-1)
    host.ready()
    host.thread(traffic, engine, host, (0.5, 2.0), (0.0, 0.3))
    while True:
        connection = engine.connect()
        read(connection, host)
        host.kept.append(connection)
        host.sleep(3.0)


@leak("every 4 s a request is rolled back and its connection kept: idle sessions beside a pool that works", more=True)
def kept_after_rollback(host: Host) -> None:
    engine = host.engine(pool_size=5, max_overflow=-1)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.2, 0.8), (0.0, 0.1))
    while True:
        connection = engine.connect()
        write(connection, host)
        connection.rollback()
        host.kept.append(connection)
        host.sleep(4.0)


@leak(
    "a cache keeps what a query returned, which is a result that holds its cursor, connection and snapshot", more=True
)
def results_in_a_cache(host: Host) -> None:
    engine = host.engine(isolation_level="REPEATABLE READ", max_overflow=-1)
    host.ready()
    while True:
        connection = engine.connect().execution_options(stream_results=True, max_row_buffer=10)
        result = connection.exec_driver_sql("select id from item order by program, id")
        result.fetchmany(5)
        host.kept.append(result)
        host.sleep(6.0)
