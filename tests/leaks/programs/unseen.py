"""Leaks that no server can tell from a pool at rest: only the recorder in the process knows that nobody gave them back."""

from __future__ import annotations

from tests.leaks.programs.program import Host, fill, leak, read, traffic


@leak("two connections were taken in case they are needed, no statement was ever sent, and they are kept", unseen=True)
def checkout_without_sql(host: Host) -> None:
    engine = host.engine(pool_size=5)
    for _ in range(2):
        host.kept.append(engine.connect())
    host.ready()
    host.thread(traffic, engine, host, (0.2, 0.8), (0.0, 0.1))


@leak("one connection in AUTOCOMMIT was used once and is kept by an object that lives on; the pool works", unseen=True)
def autocommit_kept(host: Host) -> None:
    engine = host.engine(pool_size=5, isolation_level="AUTOCOMMIT")
    fill(engine, 4)
    connection = engine.connect()
    read(connection, host)
    host.kept.append(connection)
    host.ready()
    while True:
        with engine.connect() as other:
            read(other, host)
        host.sleep(0.2, 0.6)


@leak(
    "an ORM session was committed, used once more to read, rolled back, and its connection kept all the same",
    unseen=True,
)
def kept_after_rollback_once(host: Host) -> None:
    engine = host.engine(pool_size=5)
    fill(engine, 3)
    connection = engine.connect()
    read(connection, host)
    connection.rollback()
    host.kept.append(connection)
    host.ready()
