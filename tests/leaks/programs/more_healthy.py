"""The second set's healthy programs: other paces, other drivers, other reasons to be idle or to grow."""

from __future__ import annotations

import threading

from tests.leaks.programs.program import Host, fill, healthy, part, read, traffic, transaction, write


@healthy("asyncpg: an asynchronous application with a pool of five and six tasks", more=True)
def async_pool_with_traffic(host: Host) -> None:
    import asyncio

    from sqlalchemy import text

    async def work() -> None:
        while True:
            async with engine.begin() as connection:
                await connection.execute(
                    text("update item set amount = 2 where program = :program and id = :id"), host.item()
                )
                await asyncio.sleep(host.random.uniform(0.0, 0.2))
            await asyncio.sleep(host.random.uniform(0.2, 1.5))

    async def serve() -> None:
        host.ready()
        await asyncio.gather(*(work() for _ in range(6)))

    engine = host.async_engine()
    asyncio.run(serve())


@healthy(
    "the load doubles every few seconds, from 1 worker to 14, all with short holds: pool and overflow as declared",
    more=True,
)
def load_that_doubles(host: Host) -> None:
    engine = host.engine(pool_size=10, max_overflow=5)
    host.thread(traffic, engine, host, (0.1, 0.4), (0.3, 1.0))
    host.ready()
    host.await_go()
    for more in (1, 2, 4, 6):
        host.sleep(5.0)
        for _ in range(more):
            host.thread(traffic, engine, host, (0.1, 0.4), (0.3, 1.0))


@healthy("a scheduler starts a process every 6 s; it works for a second or two and exits", more=True)
def scheduled_processes(host: Host) -> None:
    host.ready()
    while True:
        host.start_part(scheduled_job).wait()
        host.kept.clear()
        host.sleep(4.0)


@part
def scheduled_job(host: Host) -> None:
    import os

    from sqlalchemy.pool import NullPool

    engine = host.engine(poolclass=NullPool)
    host.ready()
    for _ in range(3):
        with transaction(engine, host):
            host.sleep(0.2, 0.5)
    os._exit(0)


@healthy(
    "four threads keep a connection each, in AUTOCOMMIT, and get a task every 5 to 9 s: idle most of the time",
    more=True,
)
def threads_that_wait_for_tasks(host: Host) -> None:
    engine = host.engine(isolation_level="AUTOCOMMIT")

    def work() -> None:
        with engine.connect() as connection:
            while True:
                read(connection, host)
                host.sleep(5.0, 9.0)

    for _ in range(4):
        host.thread(work)
    host.ready()


@healthy(
    "feeds rows to one COPY as a sensor gives them: one statement, running all the time, mostly waiting for input",
    more=True,
)
def copy_from_a_slow_source(host: Host) -> None:
    class Sensor:
        def read(self, size: int = -1) -> bytes:
            host.sleep(0.5, 1.5)
            return f"{host.name}\n".encode()

    connection = host.raw_connection()
    host.ready()
    with connection.cursor() as cursor:
        cursor.copy_expert("copy audit (program) from stdin", Sensor())


@healthy("two-phase commits as they should be: prepared, and committed half a second later", more=True)
def two_phase_done_right(host: Host) -> None:
    engine = host.engine()
    host.ready()
    while True:
        with engine.connect() as connection:
            both = connection.begin_twophase()
            write(connection, host)
            both.prepare()
            host.sleep(0.5)
            both.commit()
        host.sleep(1.0, 3.0)


@healthy(
    "one big burst in the middle: fifteen requests at once for two seconds, and back to the five of the pool", more=True
)
def one_big_burst(host: Host) -> None:
    engine = host.engine(pool_size=5, max_overflow=10)
    together = threading.Barrier(15)

    def serve() -> None:
        with engine.begin() as connection:
            read(connection, host)
            together.wait()
            host.sleep(1.0, 2.0)

    host.thread(traffic, engine, host, (0.2, 1.0), (0.0, 0.1))
    host.ready()
    host.await_go()
    host.sleep(9.0)
    for thread in [host.thread(serve) for _ in range(15)]:
        thread.join()


@healthy("an exporter that is scraped every 15 s: one session that hardly ever does anything", more=True)
def slow_exporter(host: Host) -> None:
    connection = host.engine(isolation_level="AUTOCOMMIT").connect()
    host.ready()
    while True:
        connection.exec_driver_sql("select count(*) from pg_stat_database")
        host.sleep(15.0)


@healthy("a job queue: takes a job with FOR UPDATE SKIP LOCKED, works on it for 1 to 3 s, and commits", more=True)
def job_queue(host: Host) -> None:
    from sqlalchemy import text

    engine = host.engine()

    def work() -> None:
        while True:
            with engine.begin() as connection:
                take = "select id from item where program = :program limit 1 for update skip locked"
                connection.execute(text(take), {"program": host.name})
                host.sleep(1.0, 3.0)
            host.sleep(0.1, 0.5)

    for _ in range(3):
        host.thread(work)
    host.ready()


@healthy("one connection for the whole life of the program, committed after every piece of work, every 4 s", more=True)
def one_connection_for_life(host: Host) -> None:
    connection = host.engine().connect()
    host.ready()
    while True:
        read(connection, host)
        write(connection, host)
        connection.commit()
        host.sleep(4.0)


@healthy("an application starts while one looks, opens its pool of eight at once, and waits for requests", more=True)
def start_with_a_warm_pool(host: Host) -> None:
    host.ready()
    host.await_go()
    host.sleep(6.0)
    fill(host.engine(pool_size=8), 8)


@healthy(
    "scaled up while one looks: a new worker process every 4 s, each with its own small pool and its own work",
    more=True,
)
def workers_are_added(host: Host) -> None:
    from tests.leaks.programs.processes import web_worker

    host.start_part(web_worker)
    host.ready()
    host.await_go()
    for _ in range(5):
        host.sleep(4.0)
        host.start_part(web_worker)


@healthy(
    "an upgrade holds an advisory lock and runs its statements, each of some seconds, in one transaction", more=True
)
def migration(host: Host) -> None:
    engine = host.engine()
    host.ready()
    with engine.begin() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(20250103)")
        for number in range(12):
            connection.exec_driver_sql(f"create table migrated_{number} as select 1 as done from pg_sleep(4)")


@healthy(
    "a LIFO pool of eight of which the work needs two: the others rest, as the pool was told to keep them", more=True
)
def lifo_pool_larger_than_needed(host: Host) -> None:
    engine = host.engine(pool_size=8, pool_use_lifo=True)
    fill(engine, 8)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.2, 0.8), (0.0, 0.2))
