"""Programs on SQL Server that do nothing wrong."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tests.leaks.sqlserver_host import SHARED, SqlServerHost, healthy, read, serve, traffic

if TYPE_CHECKING:
    from sqlalchemy import Engine


def _fill(engine: Engine, host: SqlServerHost, connections: int) -> None:
    """Has so many connections out at the same time, once, and gives them back."""
    with contextlib.ExitStack() as stack:
        for _ in range(connections):
            read(stack.enter_context(engine.connect()), host)


@healthy("a pool of five, filled once and idle since; the drivers have begun the next transaction in each: empty")
def pool_at_rest(host: SqlServerHost) -> None:
    _fill(host.engine(pool_size=5), host, 5)
    host.ready()


@healthy("the same through FreeTDS")
def pool_at_rest_freetds(host: SqlServerHost) -> None:
    _fill(host.engine("freetds", pool_size=5), host, 5)
    host.ready()


@healthy("the same in AUTOCOMMIT: no transaction at all")
def pool_at_rest_in_autocommit(host: SqlServerHost) -> None:
    _fill(host.engine(pool_size=5, isolation_level="AUTOCOMMIT"), host, 5)
    host.ready()


@healthy("eight threads filled the pool in a burst before anybody looked; it has rested since")
def pool_after_a_burst(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=8)
    together = threading.Barrier(8)

    def work() -> None:
        for _ in range(3):
            serve(engine, host, (0.02, 0.05))
            together.wait()

    for thread in [host.thread(work) for _ in range(8)]:
        thread.join()
    host.ready()


@healthy("a web application at its daily work: a pool of five, three workers")
def pool_with_steady_traffic(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=5)
    host.ready()
    for _ in range(3):
        host.thread(traffic, engine, host, (0.3, 1.0), (0.0, 0.1))


@healthy("the same through FreeTDS")
def pool_with_steady_traffic_freetds(host: SqlServerHost) -> None:
    engine = host.engine("freetds", pool_size=5)
    host.ready()
    for _ in range(3):
        host.thread(traffic, engine, host, (0.3, 1.0), (0.0, 0.1))


@healthy("every few seconds seven requests at once: the overflow opens sessions, and they close when it is over")
def bursts_with_overflow(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=3, max_overflow=10)
    host.ready()
    while True:
        for thread in [host.thread(serve, engine, host, (0.2, 0.6)) for _ in range(7)]:
            thread.join()
        host.sleep(3.0, 5.0)


@healthy("no pool: a connection for each job, opened and closed")
def churn_without_a_pool(host: SqlServerHost) -> None:
    from sqlalchemy.pool import NullPool

    engine = host.engine(poolclass=NullPool)
    host.ready()
    traffic(engine, host, think=(0.5, 1.2), work=(0.05, 0.4))


@healthy("no pool, through FreeTDS, two threads: sessions come and go all the time")
def churn_without_a_pool_freetds(host: SqlServerHost) -> None:
    from sqlalchemy.pool import NullPool

    engine = host.engine("freetds", poolclass=NullPool)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.5, 1.5), (0.1, 0.8))


@healthy("the morning's load rises from one worker to eight, and the pool grows into the size it was given")
def pool_under_rising_load(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=8)
    host.thread(traffic, engine, host, (0.1, 0.4), (0.5, 2.0))
    host.ready()
    for _ in range(7):
        host.sleep(3.0)
        host.thread(traffic, engine, host, (0.1, 0.4), (0.5, 2.0))


@healthy("every checkout is pinged first, so that idle sessions show the ping as their last statement")
def pool_with_pre_ping(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=4, pool_pre_ping=True)
    _fill(engine, host, 4)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.5, 2.5))


@healthy("connections are replaced when they are three seconds old, as a firewall wants it: new sessions, old closed")
def pool_that_recycles(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=4, pool_recycle=3)
    _fill(engine, host, 4)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.4, 1.2), (0.0, 0.1))


@healthy("short transactions in which the program thinks for 1 to 3 s before it commits, one after the other")
def short_transactions_with_think_time(host: SqlServerHost) -> None:
    engine = host.engine()
    host.ready()
    host.thread(traffic, engine, host, (0.2, 1.0), (1.0, 3.0))
    traffic(engine, host, think=(0.2, 1.0), work=(1.0, 3.0))


@healthy("one statement that takes 40 s: a report is made, the session works all the time")
def long_report_in_one_statement(host: SqlServerHost) -> None:
    engine = host.engine()
    host.ready()
    while True:
        with engine.begin() as connection:
            read(connection, host)
            connection.exec_driver_sql("WAITFOR DELAY '00:00:40'")


@healthy("an engine that reads and one that writes, in one process: two small pools, both at work")
def two_engines(host: SqlServerHost) -> None:
    reads = host.engine(pool_size=3, isolation_level="AUTOCOMMIT")
    writes = host.engine(pool_size=2)
    _fill(reads, host, 3)
    host.ready()

    def look() -> None:
        while True:
            with reads.connect() as connection:
                read(connection, host)
            host.sleep(0.3, 1.2)

    host.thread(look)
    host.thread(look)
    traffic(writes, host, think=(1.0, 3.0))


@healthy("a worker in AUTOCOMMIT keeps its connection for the whole job and pauses 3 s between statements")
def autocommit_worker(host: SqlServerHost) -> None:
    engine = host.engine(isolation_level="AUTOCOMMIT")
    host.ready()
    while True:
        with engine.connect() as connection:
            for _ in range(4):
                read(connection, host)
                host.sleep(3.0)


@healthy("a person with three query windows open: one is read in now and then, the others are left as they are")
def person_with_query_windows(host: SqlServerHost) -> None:
    name = "Microsoft SQL Server Management Studio - Query"
    windows = [host.raw_connection(application_name=name, autocommit=True) for _ in range(3)]
    for window in windows:
        window.execute("SELECT @@SPID").fetchall()
    host.kept.extend(windows)
    host.ready()
    while True:
        windows[0].execute(f"SELECT COUNT(*) FROM {host.table}").fetchall()
        host.sleep(4.0, 8.0)


@healthy("waits for a row that another program has locked: the victim, not the one who holds it")
def waits_for_a_row(host: SqlServerHost) -> None:
    engine = host.engine()
    host.ready()
    while True:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {SHARED} SET amount = amount + 1 WHERE id = 1")
        host.sleep(0.5)
