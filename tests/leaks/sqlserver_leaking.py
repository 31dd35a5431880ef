"""Programs on SQL Server that leak."""

from __future__ import annotations

import contextlib

from tests.leaks.sqlserver_host import SHARED, SqlServerHost, insert, leak, read, traffic, write


def _keep(host: SqlServerHost, driver: str = "microsoft") -> None:
    engine = host.engine(driver)
    connection = engine.connect()
    insert(connection, host)
    host.kept.append(connection)
    host.ready()
    # The rest of the program goes on as if nothing were.
    traffic(engine, host, think=(0.5, 1.5))


@leak("an INSERT was made and never committed: the row is nowhere, its transaction keeps log and locks")
def insert_never_committed(host: SqlServerHost) -> None:
    _keep(host)


@leak("the same through FreeTDS")
def insert_never_committed_freetds(host: SqlServerHost) -> None:
    _keep(host, "freetds")


@leak("each request inserts and forgets to commit and to close: one more open transaction every 2 s")
def inserts_never_committed(host: SqlServerHost) -> None:
    engine = host.engine(max_overflow=-1)
    host.ready()
    number = 0
    while True:
        connection = engine.connect()
        insert(connection, host, number)
        host.kept.append(connection)
        number += 1
        host.sleep(2.0)


@leak("a connection is taken from the pool for one query and never given back: its transaction stays open")
def checkout_kept_after_select(host: SqlServerHost) -> None:
    engine = host.engine()
    # It has served before: a SELECT within the server's tick (3 ms) of the driver's own BEGIN, as in the moment of the
    # login, cannot be told from it.
    with engine.begin() as connection:
        read(connection, host)
    host.sleep(0.3)
    connection = engine.connect()
    read(connection, host)
    host.kept.append(connection)
    host.ready()


@leak(
    "all six connections that the pool may have were taken for an update and not given back: nobody gets one any more"
)
def pool_leaked_dry(host: SqlServerHost) -> None:
    from sqlalchemy.exc import TimeoutError as NoConnectionError

    engine = host.engine(pool_size=4, max_overflow=2, pool_timeout=3)
    for number in range(6):
        connection = engine.connect()
        connection.exec_driver_sql(f"UPDATE {host.table} SET amount = 0 WHERE id = {number + 1}")
        host.kept.append(connection)
    host.ready()
    while True:
        with contextlib.suppress(NoConnectionError):
            engine.connect()
        host.sleep(1.0)


@leak("a row was updated and the transaction never ended: others wait for the row")
def row_lock_kept(host: SqlServerHost) -> None:
    connection = host.engine().connect()
    connection.exec_driver_sql(f"UPDATE {SHARED} SET amount = 0 WHERE id = 1")
    host.kept.append(connection)
    host.ready()


@leak("each order calls a payment service, which takes about 7 s, with its transaction open: locks held while waiting")
def transaction_across_remote_calls(host: SqlServerHost) -> None:
    engine = host.engine()
    host.ready()
    while True:
        with engine.begin() as connection:
            write(connection, host)
            host.sleep(6.5, 7.5)  # authorise
            write(connection, host)
            host.sleep(6.5, 7.5)  # capture
            write(connection, host)


@leak(
    "a daemon notes every 2 s that it lives, in the one transaction that its first statement began, and never ends it"
)
def daemon_in_one_transaction(host: SqlServerHost) -> None:
    connection = host.engine().connect()
    write(connection, host)
    host.ready()
    while True:
        write(connection, host)
        host.sleep(2.0)


@leak("every two seconds a connection in AUTOCOMMIT is opened for one query and forgotten: idle, no transaction")
def autocommit_forgotten(host: SqlServerHost) -> None:
    engine = host.engine(isolation_level="AUTOCOMMIT", max_overflow=-1)
    host.ready()
    while True:
        connection = engine.connect()
        read(connection, host)
        host.kept.append(connection)
        host.sleep(2.0)


def _an_engine_for_each_request(host: SqlServerHost, driver: str) -> None:
    host.ready()
    while True:
        engine = host.engine(driver)
        host.kept.append(engine)
        with engine.begin() as connection:
            read(connection, host)
        host.sleep(1.5)


@leak("every request makes an engine of its own, and they are all kept: one pool with one connection for each request")
def engine_per_request_kept(host: SqlServerHost) -> None:
    _an_engine_for_each_request(host, "microsoft")


@leak("the same through FreeTDS")
def engine_per_request_kept_freetds(host: SqlServerHost) -> None:
    _an_engine_for_each_request(host, "freetds")


@leak("connections are opened ahead, for later, and nobody ever uses or closes one")
def raw_connections_never_used(host: SqlServerHost) -> None:
    host.ready()
    while True:
        host.kept.append(host.raw_connection())
        host.sleep(2.0)


class OutOfStockError(Exception):
    """What goes wrong with one request in ten."""


@leak("one request in ten raises before it gives its connection back, with its transaction open; nine do it right")
def error_path(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=10, max_overflow=40)
    served = 0

    def request(number: int) -> None:
        connection = engine.connect()
        host.kept.append(connection)  # as a traceback kept by an error reporter does
        insert(connection, host, number)
        if number % 10 == 9:
            raise OutOfStockError
        host.sleep(0.05, 0.2)
        connection.commit()
        connection.close()
        host.kept.remove(connection)

    host.ready()
    host.thread(traffic, engine, host, (0.3, 0.9))
    host.thread(traffic, engine, host, (0.3, 0.9))
    while True:
        with contextlib.suppress(OutOfStockError):
            request(served)
        served += 1
        host.sleep(0.1, 0.4)


@leak("a pool is declared as 5 + 3, and 14 sessions are open: the code that took them works around it", alone=True)
def more_than_declared(host: SqlServerHost) -> None:
    engine = host.engine(pool_size=5, max_overflow=-1)
    for _ in range(13):
        connection = engine.connect()
        read(connection, host)
        connection.rollback()
        host.kept.append(connection)
    host.ready()
    traffic(engine, host, think=(0.3, 1.0))
