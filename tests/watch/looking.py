"""A PostgresqlSource on a test's server, raw sessions beside it, and one session out of a snapshot."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from dbdoctor.model.session import Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.postgresql_source import PostgresqlSource
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until

PATIENCE = 30.0


@contextlib.contextmanager
def source(server: PostgresServer, user: str = "watcher", **parameters: Any) -> Iterator[PostgresqlSource]:
    with source_of(server.dsn(user=user, **parameters)) as opened:
        yield opened


@contextlib.contextmanager
def source_of(dsn: str) -> Iterator[PostgresqlSource]:
    made = PostgresqlSource(parse_dsn(dsn, environment={}))
    try:
        made.open(PATIENCE)
        yield made
    finally:
        made.close()


def find(snapshot: Snapshot, pid: int) -> Session:
    return next(session for session in snapshot.sessions if session.id == pid)


def pid_of(connection: Any) -> int:
    return int(connection.info.backend_pid)


@contextlib.contextmanager
def session(server: PostgresServer, *statements: str, user: str = "other", **parameters: Any) -> Iterator[Any]:
    """A session of `user` that has run these; an error of one of them is part of its life."""
    with contextlib.closing(server.connect(user=user, **parameters)) as opened, opened.cursor() as cursor:
        for statement in statements:
            with contextlib.suppress(Exception):
                cursor.execute(statement)
        yield opened


class RawSession:
    """A session by the wire, for bytes that no driver would send, statements that are not waited for, sudden ends."""

    def __init__(
        self, server: PostgresServer, user: str = "other", dbname: str = "postgres", **parameters: str
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        words = {"user": user, "database": dbname, **parameters}
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in words.items()) + b"\0"
        self.socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        answer = self._until_ready()
        key = answer.index(b"K\0\0\0")
        self.pid = int(struct.unpack("!i", answer[key + 5 : key + 9])[0])

    def send(self, statement: bytes) -> None:
        self.socket.sendall(b"Q" + struct.pack("!i", len(statement) + 5) + statement + b"\0")

    def run(self, statement: bytes) -> bytes:
        self.send(statement)
        return self._until_ready()

    def _until_ready(self) -> bytes:
        answer = b""
        while not (answer[-6:-1] == b"Z\0\0\0\5" and answer[-1:] in (b"I", b"T", b"E")):
            piece = self.socket.recv(65536)
            assert piece, answer
            answer += piece
        return answer

    def __enter__(self) -> "RawSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def wait_for_rows(server: PostgresServer, sql: str, what: str, rows: int = 1) -> None:
    wait_until(lambda: len(server.execute(sql)) == rows, what)


def wait_until_alone(server: PostgresServer) -> None:
    """Ends what others have left, and waits until their processes are gone."""
    others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    server.execute(f"SELECT pg_terminate_backend(pid) {others}")
    wait_for_rows(server, f"SELECT 1 {others}", "the end of other sessions", 0)
