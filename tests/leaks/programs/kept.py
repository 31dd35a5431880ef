"""Leaks: one checkout, or one after the other, that is never given back."""

from __future__ import annotations

import contextlib

from tests.leaks.programs.program import Host, leak, read, traffic, write


@leak("a connection is taken from the pool for one query and never given back: its transaction stays open")
def checkout_kept_after_select(host: Host) -> None:
    engine = host.engine()
    connection = engine.connect()
    read(connection, host)
    host.kept.append(connection)
    host.ready()


@leak("each request opens an ORM session and forgets to close it: one more open transaction every 2 s")
def sessions_never_closed(host: Host) -> None:
    from sqlalchemy import text
    from sqlalchemy.orm import Session

    engine = host.engine(max_overflow=-1)
    host.ready()
    while True:
        session = Session(engine)
        session.execute(text("select count(*) from item where program = :program"), {"program": host.name})
        host.kept.append(session)
        host.sleep(2.0)


@leak("an INSERT was made and never committed: the row is nowhere, its transaction keeps an xid and locks")
def insert_never_committed(host: Host) -> None:
    from sqlalchemy import text

    engine = host.engine()
    connection = engine.connect()
    connection.execute(text("insert into audit (program) values (:program)"), {"program": host.name})
    host.kept.append(connection)
    host.ready()
    # The rest of the program goes on as if nothing were.
    traffic(engine, host, think=(0.5, 1.5))


@leak("a statement failed, the error was swallowed, and nobody rolled back or gave the connection back")
def failed_statement_kept(host: Host) -> None:
    from sqlalchemy.exc import ProgrammingError

    engine = host.engine()
    connection = engine.connect()
    with contextlib.suppress(ProgrammingError):
        connection.exec_driver_sql("select total from no_such_table")
    host.kept.append(connection)
    host.ready()


@leak("a REPEATABLE READ transaction was begun for a report and never ended: vacuum can remove nothing since")
def snapshot_kept(host: Host) -> None:
    engine = host.engine(isolation_level="REPEATABLE READ")
    connection = engine.connect()
    read(connection, host)
    host.kept.append(connection)
    host.ready()


@leak("a result was opened with a server-side cursor, its first rows read, and the rest never: nobody closes it")
def cursor_abandoned(host: Host) -> None:
    engine = host.engine()
    connection = engine.connect().execution_options(stream_results=True, max_row_buffer=50)
    result = connection.exec_driver_sql("select n from generate_series(1, 100000) as n")
    result.fetchmany(20)
    host.kept.append(result)
    host.ready()


@leak("a row was locked with SELECT FOR UPDATE and the transaction never ended: others wait for the row")
def row_lock_kept(host: Host) -> None:
    from sqlalchemy import text

    engine = host.engine()
    connection = engine.connect()
    connection.execute(text("select * from item where program = 'shared' and id = 1 for update"))
    host.kept.append(connection)
    host.ready()


@leak("all fifteen connections that the pool may have were taken and not given back: no request gets one any more")
def pool_leaked_dry(host: Host) -> None:
    from sqlalchemy.exc import TimeoutError as NoConnectionError

    engine = host.engine(pool_timeout=3)
    for _ in range(15):
        connection = engine.connect()
        read(connection, host)
        host.kept.append(connection)
    host.ready()
    while True:
        with contextlib.suppress(NoConnectionError):
            engine.connect()
        host.sleep(1.0)


class OutOfStockError(Exception):
    """What goes wrong with one request in ten."""


@leak("one request in ten raises before it gives its connection back, with its transaction open; nine do it right")
def error_path(host: Host) -> None:
    engine = host.engine(pool_size=10, max_overflow=40)
    served = 0

    def serve(number: int) -> None:
        connection = engine.connect()
        host.kept.append(connection)  # as a traceback kept by an error reporter does
        read(connection, host)
        if number % 10 == 9:
            raise OutOfStockError
        write(connection, host)
        host.sleep(0.05, 0.2)
        connection.commit()
        connection.close()
        host.kept.remove(connection)

    host.ready()
    host.thread(traffic, engine, host, (0.2, 0.8))
    host.thread(traffic, engine, host, (0.2, 0.8))
    while True:
        with contextlib.suppress(OutOfStockError):
            serve(served)
        served += 1
        host.sleep(0.1, 0.4)


@leak("one request in ten fails, is rolled back as it should be, and does not give its connection back")
def error_path_rolled_back(host: Host) -> None:
    engine = host.engine(pool_size=10, max_overflow=40)
    served = 0

    def serve(number: int) -> None:
        connection = engine.connect()
        try:
            read(connection, host)
            if number % 10 == 9:
                raise OutOfStockError
            write(connection, host)
            host.sleep(0.05, 0.2)
            connection.commit()
        except OutOfStockError:
            connection.rollback()
            host.kept.append(connection)
        else:
            connection.close()

    host.ready()
    host.thread(traffic, engine, host, (0.2, 0.8))
    host.thread(traffic, engine, host, (0.2, 0.8))
    while True:
        serve(served)
        served += 1
        host.sleep(0.1, 0.4)
