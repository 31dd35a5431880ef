"""Healthy: pools at rest, at work and in bursts, and work without a pool."""

from __future__ import annotations

import threading

from tests.leaks.programs.program import Host, fill, healthy, read, traffic, transaction


@healthy("a pool of five, filled once and idle since: that is what a pool is for")
def pool_at_rest(host: Host) -> None:
    fill(host.engine(pool_size=5), 5)
    host.ready()


@healthy("ten threads filled the pool in a burst before anybody looked; it has rested since")
def pool_after_a_burst(host: Host) -> None:
    engine = host.engine(pool_size=10)
    together = threading.Barrier(10)

    def serve() -> None:
        for _ in range(5):
            with transaction(engine, host):
                host.sleep(0.05)
            together.wait()

    for thread in [host.thread(serve) for _ in range(10)]:
        thread.join()
    host.ready()


@healthy("a web application at its daily work: a pool of five, three workers")
def pool_with_steady_traffic(host: Host) -> None:
    engine = host.engine(pool_size=5)
    host.ready()
    for _ in range(3):
        host.thread(traffic, engine, host, (0.1, 0.6), (0.0, 0.1))


@healthy("every few seconds eight requests at once: the overflow opens sessions, and they close when it is over")
def bursts_with_overflow(host: Host) -> None:
    engine = host.engine(pool_size=3, max_overflow=10)

    def serve() -> None:
        with transaction(engine, host):
            host.sleep(0.2, 0.6)

    host.ready()
    while True:
        for thread in [host.thread(serve) for _ in range(8)]:
            thread.join()
        host.sleep(3.0, 5.0)


@healthy("no pool: a connection for each job, opened and closed")
def churn_without_a_pool(host: Host) -> None:
    from sqlalchemy.pool import NullPool

    engine = host.engine(poolclass=NullPool)
    host.ready()
    traffic(engine, host, think=(0.3, 0.9), work=(0.05, 0.4))


@healthy("no pool, four threads: sessions come and go all the time, at most four at once")
def churn_of_several_threads(host: Host) -> None:
    from sqlalchemy.pool import NullPool

    engine = host.engine(poolclass=NullPool)
    host.ready()
    for _ in range(4):
        host.thread(traffic, engine, host, (0.2, 1.5), (0.1, 0.8))


@healthy("every checkout is pinged first, so that idle sessions show the ping as their last statement")
def pool_with_pre_ping(host: Host) -> None:
    engine = host.engine(pool_size=4, pool_pre_ping=True)
    fill(engine, 4)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.5, 2.5))


@healthy("an engine that reads and one that writes, in one process: two small pools, both at work")
def two_engines(host: Host) -> None:
    reads = host.engine(pool_size=3, isolation_level="AUTOCOMMIT")
    writes = host.engine(pool_size=2)
    fill(reads, 3)
    host.ready()

    def look() -> None:
        while True:
            with reads.connect() as connection:
                read(connection, host)
            host.sleep(0.3, 1.2)

    host.thread(look)
    host.thread(look)
    traffic(writes, host, think=(1.0, 3.0))


@healthy(
    "connections are replaced when they are three seconds old, as a firewall wants it: new sessions, old ones closed"
)
def pool_that_recycles(host: Host) -> None:
    engine = host.engine(pool_size=4, pool_recycle=3)
    fill(engine, 4)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.2, 1.0), (0.0, 0.1))


@healthy("a worker in AUTOCOMMIT keeps its connection for the whole job and pauses 3 s between statements")
def autocommit_worker(host: Host) -> None:
    engine = host.engine(isolation_level="AUTOCOMMIT")
    host.ready()
    while True:
        with engine.connect() as connection:
            for _ in range(4):
                read(connection, host)
                host.sleep(3.0)
