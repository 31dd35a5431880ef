"""Transactions that live long: some because nobody ends them, some for a good reason."""

from __future__ import annotations

from tests.leaks.programs.program import Host, healthy, leak, part, read, traffic, write

FORGOTTEN = "order-4711-payment"


@leak("each order calls a payment service, which takes about 7 s, with its transaction open: locks held while waiting")
def transaction_across_remote_calls(host: Host) -> None:
    engine = host.engine()

    def order(first: bool) -> None:
        with engine.begin() as connection:
            write(connection, host)
            if first:
                host.ready()
            host.sleep(6.5, 7.5)  # authorise
            write(connection, host)
            host.sleep(6.5, 7.5)  # capture
            write(connection, host)

    order(first=True)
    while True:
        order(first=False)


@leak("a daemon looks for work every 2 s in the one transaction that its first query began, and never ends it")
def daemon_in_one_transaction(host: Host) -> None:
    engine = host.engine()
    connection = engine.connect()
    read(connection, host)
    host.ready()
    while True:
        read(connection, host)
        host.sleep(2.0)


@leak(
    "a two-phase transaction was prepared and its coordinator died: it holds its locks with no session",
    prepares=FORGOTTEN,
)
def two_phase_forgotten(host: Host) -> None:
    host.start_part(coordinator).wait()
    host.ready()


@part
def coordinator(host: Host) -> None:
    import os

    connection = host.engine().connect()
    transaction = connection.begin_twophase(xid=FORGOTTEN)
    write(connection, host)
    transaction.prepare()
    host.ready()
    os._exit(1)


@healthy("one statement that takes a minute: a report is made, the session works all the time")
def long_report_in_one_statement(host: Host) -> None:
    engine = host.engine()
    with engine.begin() as connection:
        read(connection, host)
        host.ready()
        connection.exec_driver_sql("select count(*), pg_sleep(60) from item")


@healthy(
    "a report of many chunks in one REPEATABLE READ transaction: it must be one snapshot, and it works all the time"
)
def long_report_in_chunks(host: Host) -> None:
    engine = host.engine(isolation_level="REPEATABLE READ")
    host.ready()
    host.await_go()
    with engine.begin() as connection:
        for chunk in range(60):
            connection.exec_driver_sql(f"select id, amount, pg_sleep(0.004) from item where mod(id, 60) = {chunk}")
            host.sleep(0.2, 0.9)


@healthy("an export reads a big result through a server-side cursor, a batch every 2 to 6 s: slow, and moving")
def cursor_that_advances(host: Host) -> None:
    engine = host.engine()
    connection = engine.connect().execution_options(stream_results=True, max_row_buffer=50)
    with connection, connection.exec_driver_sql("select n from generate_series(1, 100000) as n") as result:
        batches = result.partitions(50)
        next(batches)
        host.ready()
        for _ in batches:
            host.sleep(2.0, 6.0)


@healthy("short transactions in which the program thinks for 1 to 3 s before it commits, one after the other")
def short_transactions_with_think_time(host: Host) -> None:
    engine = host.engine()
    host.ready()
    host.thread(traffic, engine, host, (0.2, 1.0), (1.0, 3.0))
    traffic(engine, host, think=(0.2, 1.0), work=(1.0, 3.0))


@healthy("waits for a row that another program has locked: the victim, not the one who holds it", after="row-lock-kept")
def waits_for_a_row(host: Host) -> None:
    from sqlalchemy import text

    engine = host.engine()
    host.ready()
    while True:
        with engine.begin() as connection:
            connection.execute(text("update item set amount = amount + 1 where program = 'shared' and id = 1"))
        host.sleep(0.5)
