"""Healthy: sessions that are idle, or in a transaction, because that is their job; and people."""

from __future__ import annotations

import os
import subprocess

from tests.leaks.programs.program import Host, healthy


@healthy("listens for notifications: an idle session is how one listens")
def listener(host: Host) -> None:
    import select

    connection = host.engine(isolation_level="AUTOCOMMIT").connect()
    connection.exec_driver_sql("listen orders")
    raw = connection.connection.driver_connection
    assert raw is not None
    host.kept.append(connection)
    host.ready()
    while True:
        select.select([raw], [], [], 60.0)
        raw.poll()
        raw.notifies.clear()


@healthy("is the leader by an advisory lock of its session, which lasts as long as the session: idle by design")
def leader_by_session_lock(host: Host) -> None:
    connection = host.engine(isolation_level="AUTOCOMMIT").connect()
    connection.exec_driver_sql("select pg_advisory_lock(20250101)")
    host.kept.append(connection)
    host.ready()


@healthy("is the leader by an advisory lock that it holds in an open transaction, with no other lock and no snapshot")
def leader_by_transaction_lock(host: Host) -> None:
    connection = host.engine().connect()
    connection.exec_driver_sql("select pg_advisory_xact_lock(20250102)")
    host.kept.append(connection)
    host.ready()


@healthy("a person in psql who typed BEGIN, looked at a row and is thinking")
def person_in_psql(host: Host) -> None:
    if not os.environ.get("PROGRAM_PSQL"):
        connection = host.engine(application_name="psql").connect()
        connection.exec_driver_sql("select * from item limit 1")
        host.kept.append(connection)
        host.ready()
        return
    words = [os.environ["PROGRAM_PSQL"], "--no-psqlrc", "--quiet", "--tuples-only", host.dsn]
    psql = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert psql.stdin is not None
    assert psql.stdout is not None
    psql.stdin.write("begin;\nselect amount from item where program = 'person-in-psql' and id = 1;\n")
    psql.stdin.flush()
    psql.stdout.readline()
    host.kept.append(psql)
    host.ready()


@healthy("an exporter: one session, a query every 5 s, idle between")
def exporter(host: Host) -> None:
    connection = host.engine(isolation_level="AUTOCOMMIT").connect()
    connection.exec_driver_sql("select count(*) from pg_stat_activity")
    host.ready()
    while True:
        host.sleep(5.0)
        connection.exec_driver_sql("select count(*) from pg_stat_activity")
