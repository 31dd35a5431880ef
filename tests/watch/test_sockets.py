"""The kernel's own table of connections, and psutil's on other systems, say the same of real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import psutil  # before a test calls this platform another one
import pytest

from dbdoctor.watch import sockets
from dbdoctor.watch.sockets import place, read_table
from tests.servers.network import has_ipv6
from tests.servers.waiting import wait_until

ADDRESSES = ["127.0.0.1", *(["::1", "::ffff:127.0.0.1"] if has_ipv6() else [])]


@contextlib.contextmanager
def pair(address: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's end and a server's; the client's may be an IPv6 socket with an IPv4 address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = address.removeprefix("::ffff:")
    with (
        socket.create_server((server, 0), family=socket.AF_INET6 if ":" in server else socket.AF_INET) as listener,
        socket.socket(family) as client,
    ):
        client.connect((address, listener.getsockname()[1]))
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


@pytest.mark.parametrize("by_psutil", [False, True])
@pytest.mark.parametrize("address", ADDRESSES)
def test_both_ends_until_one_closes(address: str, by_psutil: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_psutil:
        assert psutil.LINUX
        monkeypatch.setattr(sockets.sys, "platform", "freebsd")  # type: ignore[attr-defined]
    with pair(address) as (client, server):
        ours, port = place(*client.getsockname()[:2]), client.getpeername()[1]
        assert ours is not None
        table = read_table(port)
        assert table is not None
        end = table.here(ours)
        assert end is not None
        assert end == table.towards(ours, end.other)
        assert end.other == place(*server.getsockname()[:2])
        assert end.pid == os.getpid() if by_psutil else end.inode == os.fstat(client.fileno()).st_ino
        assert not table.is_dead(ours)
        assert table.towards(ours, "0100007F:0001") is None
        client.close()

        def is_dead() -> bool:
            after = read_table(port)
            return after is not None and after.is_dead(ours) and after.here(ours) is None

        wait_until(is_dead, "the end of the connection")


def test_a_client_that_only_stopped_sending_is_alive() -> None:
    with pair("127.0.0.1") as (client, _):
        ours, port = place(*client.getsockname()), client.getpeername()[1]
        assert ours is not None
        client.shutdown(socket.SHUT_WR)
        table = read_table(port)
        assert table is not None
        assert table.here(ours) is not None
        assert not table.is_dead(ours)


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.0.0.1", "::ffff:127.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.1/32", "10.0.0.1"), ("::1", "0:0::1")],
)
def test_one_place_is_one_text(one: str, other: str) -> None:
    assert place(one, 5432) == place(other, 5432) is not None


@pytest.mark.parametrize(
    "what",
    [
        ("local", None),
        (None, 5432),
        ("db1", 5432),
        ("127.0.0.1", None),
        ("127.0.0.1", -1),
        ("127.0.0.1", 70000),
        ("", 1),
    ],
)
def test_what_is_no_place(what: tuple[str | None, int | None]) -> None:
    assert place(*what) is None
