"""Each fake server does what its name says, as psycopg2 and a bare socket see it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from tests.servers.wire import Conversation, FakeServer
from tests.servers.wire_faults import CATALOGUE, ENDS, SILENCES
from tests.servers.wire_postgres import answers_error, fatal

Wire = Callable[..., FakeServer]
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"


def answer(port: int, data: bytes = SSL_REQUEST) -> bytes:
    """The first bytes that a server answers to `data`; empty when it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        return connection.recv(4096)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("http", b"HTTP/1.1 400"),
        ("ssh", b"SSH-2.0-"),
        ("smtp", b"220 "),
        ("redis", b"-ERR"),
        ("tls-alert", b"\x15\x03"),
        ("tds", b""),
        ("echo", SSL_REQUEST),
        ("zero-bytes", b"\0"),
        ("error-for-ssl-request", b"EFATAL"),
        ("silent-in-tls", b"S"),
        ("silent-after-no-tls", b"N"),
    ],
)
def test_first_bytes(name: str, start: bytes, wire: Wire) -> None:
    said = answer(wire(name).port)
    assert said.startswith(start) if start else said == b""


def test_mysql_greets_as_mysql_does(wire: Wire) -> None:
    greeting = answer(wire("mysql").port)
    assert int.from_bytes(greeting[:3], "little") == len(greeting.partition(b"mysql_native_password\0")[0]) + 18
    assert greeting[4:5] == b"\x0a"
    assert b"MariaDB" in greeting


def test_tds_answers_prelogin_only(wire: Wire) -> None:
    assert answer(wire("tds").port, b"\x12\x01\0\x08\0\0\0\0")[:2] == b"\x04\x01"


def test_the_tls_server_does_tls(wire: Wire) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", wire("tls").port), timeout=5) as bare,
        context.wrap_socket(bare) as connection,
    ):
        assert connection.version() == "TLSv1.3"


def test_noise_is_never_an_answer(wire: Wire) -> None:
    for name in ("random-bytes", "random-bytes-first"):
        said = answer(wire(name).port)
        assert said[:1] not in {b"S", b"N", b"E", b""}


def outcome(name: str) -> str:
    with FakeServer(CATALOGUE[name]) as server:
        try:
            psycopg2.connect(host="127.0.0.1", port=server.port, user="app", password="x", connect_timeout=1).close()
        except psycopg2.Error as error:
            return str(error)
    return "logged in"


def test_silences_outlast_the_connect_timeout() -> None:
    with ThreadPoolExecutor(len(SILENCES)) as pool:
        found = dict(zip(SILENCES, pool.map(outcome, SILENCES), strict=True))
    assert found.pop("silent-after-login") == "logged in"
    # libpq 17 needs no more than the E to give up on TLS.
    assert "error response during SSL exchange" in found.pop("drips-before-startup")
    assert {name: text for name, text in found.items() if "timeout expired" not in text} == {}


@pytest.mark.parametrize("name", ENDS)
def test_ends(name: str) -> None:
    text = outcome(name)
    assert "timeout" not in text
    assert "closed the connection" in text or "reset by peer" in text or "SSL SYSCALL" in text, text


def test_resets_and_closes_are_two_things(wire: Wire) -> None:
    assert answer(wire("closes-after-ssl-request").port) == b""
    with pytest.raises(ConnectionResetError):
        answer(wire("resets-after-ssl-request").port)


def test_errors_carry_their_fields_in_any_encoding(wire: Wire) -> None:
    assert "sorry, too many clients already" in outcome("says-too-many-clients")
    server = wire(answers_error(fatal("28000", "Zugriff verwehrt für »müller«"), encoding="latin-1"))
    raw = answer(server.port, b"\0\0\0\x13\0\x03\0\0user\0app\0\0\0")
    assert b"C28000\0M" + "Zugriff verwehrt für »müller«".encode("latin-1") + b"\0" in raw


def test_a_drip_is_slow(wire: Wire) -> None:
    with socket.create_connection(("127.0.0.1", wire("drips-before-startup").port), timeout=60) as connection:
        connection.sendall(SSL_REQUEST)
        started = time.monotonic()
        assert [len(connection.recv(4096)) for _ in range(2)] == [1, 1]
        assert time.monotonic() - started > 0.8


def test_floods_do_not_end(wire: Wire) -> None:
    startup = b"\0\0\0\x13\0\x03\0\0user\0app\0\0\0"
    for name in ("endless-error", "endless-notices", "endless-parameters"):
        with socket.create_connection(("127.0.0.1", wire(name).port), timeout=60) as connection:
            connection.sendall(startup)
            received = 0
            while received < 5_000_000:
                received += len(connection.recv(1_000_000))


def test_a_handler_that_fails_fails_the_test() -> None:
    def broken(talk: Conversation) -> None:
        raise ZeroDivisionError

    server = FakeServer(broken).start()
    assert answer(server.port) == b""
    with pytest.raises(ZeroDivisionError):
        server.stop()


def test_conversations_are_counted_and_remembered(wire: Wire) -> None:
    server = wire("http")
    for _ in range(2):
        answer(server.port)
    server.wait_for_conversations(2)
    assert [each.received for each in server.conversations] == [SSL_REQUEST] * 2


def test_stopping_does_not_wait_for_clients() -> None:
    with contextlib.ExitStack() as clients:
        with FakeServer(CATALOGUE["silent"]) as server:
            for _ in range(3):
                clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            server.wait_for_conversations(3)
            started = time.monotonic()
        assert time.monotonic() - started < 2
