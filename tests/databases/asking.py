"""One look at a real server, as `check` takes it: an asynchronous connection, one message, the answer as bytes."""

import contextlib
import select
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import extensions

from dbdoctor.databases import postgresql
from dbdoctor.model.server import ServerFacts
from tests.servers.postgresql import PostgresServer

TRUST = (
    "local all all trust",
    "host all all all trust",
    "local replication all trust",
    "host replication all all trust",
)


def wait(connection: Any) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        reading, writing = state == extensions.POLL_READ, state == extensions.POLL_WRITE
        ready = select.select([connection] * reading, [connection] * writing, [], 20)
        assert any(ready), "the server said nothing for 20 s"


@contextlib.contextmanager
def session(server: PostgresServer, user: str = "app", **parameters: Any) -> Iterator[Any]:
    arguments: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres", **parameters}
    connection = psycopg2.connect(async_=1, user=user, application_name="dbdoctor", **arguments)
    try:
        wait(connection)
        yield connection
    finally:
        connection.close()


def send(connection: Any, sql: str) -> Any:
    cursor = connection.cursor()
    extensions.register_type(extensions.BYTES, cursor)
    cursor.execute(sql)
    wait(connection)
    return cursor.fetchone()[0]


def read(connection: Any, seconds: float = 10.0) -> ServerFacts:
    sent = time.time()
    text = send(connection, postgresql.facts_query(seconds))
    return postgresql.read_facts(
        text, sent_at=sent, received_at=time.time(), backend_pid=connection.info.backend_pid, tls=None
    )


def look(server: PostgresServer, user: str = "app", **parameters: Any) -> ServerFacts:
    with session(server, user, **parameters) as connection:
        facts = read(connection)
        assert connection.notices == []
    return facts
