"""The broken networks are broken as they say, and nothing of the machine is changed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg2
import pytest

from tests.servers.network import (
    NO_ROUTE_TO_HOST,
    SILENT_HOST,
    UNREACHABLE,
    UNREACHABLE_IPV6,
    black_hole,
    free_port_on_both,
    has_ipv6,
    private_names,
    private_network,
    refused_port,
)
from tests.servers.postgresql import PostgresServer

RESOLVE = "import socket, sys; print(*[a[4][0] for a in socket.getaddrinfo(sys.argv[1], 1, type=socket.SOCK_STREAM)])"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)"


def run(prefix: Sequence[str], *arguments: str, timeout: float = 20) -> str:
    """The last line of what a Python program says in that world."""
    command = [*prefix, sys.executable, "-c", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_refused() -> None:
    with refused_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("address", [UNREACHABLE, UNREACHABLE_IPV6])
def test_unreachable(address: str) -> None:
    if address == UNREACHABLE_IPV6 and not has_ipv6():
        pytest.skip("the kernel has no IPv6")
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection((address, 5432), timeout=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_black_hole(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("the kernel has no IPv6")
    with black_hole(host) as port:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                socket.create_connection((host, port), timeout=0.5)


def test_a_name_with_a_black_hole_and_a_live_server() -> None:
    port = free_port_on_both("127.0.0.1", "127.0.0.2")
    with (
        PostgresServer(settings={"listen_addresses": "127.0.0.2"}, port=port) as server,
        black_hole("127.0.0.1", port),
        private_names({"two.test": ["127.0.0.1", "127.0.0.2"]}) as prefix,
    ):
        assert run(prefix, RESOLVE, "two.test") == "127.0.0.1 127.0.0.2"
        assert run(prefix, CONNECT, "127.0.0.1", str(port)) == "TimeoutError: timed out"
        assert run([*prefix], CONNECT + "; print('in')", "127.0.0.2", str(port)) == "in"
        with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
            server.connect(connect_timeout=1)


def test_names_of_our_own() -> None:
    before = Path("/etc/hosts").read_text()
    with private_names({"db.test": ["192.0.2.1"]}) as prefix:
        assert run(prefix, RESOLVE, "db.test") == "192.0.2.1"
        assert "Name or service not known" in run(prefix, RESOLVE, "other.test")
        assert Path("/etc/hosts").read_text() == before


def test_a_resolver_that_refuses() -> None:
    with private_names(resolver="refusing") as prefix:
        assert "Temporary failure in name resolution" in run(prefix, RESOLVE, "db.test")


def test_a_resolver_that_says_nothing() -> None:
    with private_names({"known.test": ["127.0.0.1"]}, "silent") as prefix:
        assert run(prefix, RESOLVE, "known.test") == "127.0.0.1"
        started = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            run(prefix, RESOLVE, "db.test", timeout=2)
        assert time.monotonic() - started < 4


def test_a_network_without_a_way_out() -> None:
    with private_network({"both.test": [SILENT_HOST, NO_ROUTE_TO_HOST]}) as prefix:
        assert run(prefix, CONNECT, SILENT_HOST, "5432") == "TimeoutError: timed out"
        assert "No route to host" in run(prefix, CONNECT, NO_ROUTE_TO_HOST, "5432")
        assert "Network is unreachable" in run(prefix, CONNECT, "203.0.113.1", "5432")
        assert "Connection refused" in run(prefix, CONNECT, "127.0.0.1", "5432")
        assert set(run(prefix, RESOLVE, "both.test").split()) == {SILENT_HOST, NO_ROUTE_TO_HOST}
