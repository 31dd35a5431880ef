"""How long a hang would last: against the kernel's documentation, its own counters, and what was measured."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Bound, FaultFacts, Host, PoolPlan, Scenario
from dbdoctor.trials.hang import client_keepalive, ghost_bound, hang_bound, hypothetical_timeout, retransmission
from dbdoctor.trials.host import read_host

LINUX = Host(15, (7200, 75, 9), (7200, 75, 9))
PLAIN = PoolPlan("default", "")
SILENT = FaultFacts("silent-drop", "", "", Scenario.IDLE, True)
LOST = FaultFacts("lost-reply", "", "", Scenario.QUERY, True)
LOST_RESET = FaultFacts("lost-reply-reset", "", "", Scenario.QUERY, True)
BLACK_HOLE = FaultFacts("black-hole-proxy", "", "", Scenario.IDLE, False, acknowledges=True)


def test_the_kernels_documentation() -> None:
    """ip-sysctl.rst: tcp_retries2 = 15 "yields a hypothetical timeout of 924.6 seconds", 8 is above 100 s of RFC 1122."""
    assert hypothetical_timeout(15) == pytest.approx(924.6)
    assert hypothetical_timeout(8) > 100


def test_what_was_measured() -> None:
    """With tcp_retries2 = 5 psycopg2 got ETIMEDOUT after 13.5 s."""
    bound = retransmission(Host(5, None))
    assert bound.most is not None
    assert bound.least <= 13.5 <= bound.most


def test_unknown_is_a_range_that_says_so() -> None:
    bound = retransmission(Host(None, None))
    assert (bound.least, bound.most) == (780.0, 1800.0)
    assert "not readable" in bound.why


@given(st.integers(0, 50))
def test_more_retries_last_longer(retries: int) -> None:
    less, more = retransmission(Host(retries, None)), retransmission(Host(retries + 1, None))
    assert less.least < more.least
    assert less.most is not None
    assert more.most is not None
    assert less.least <= less.most < more.most


def test_unacknowledged_data_is_the_kernels_or_the_users_limit() -> None:
    assert hang_bound(PLAIN, SILENT, LINUX) == retransmission(LINUX)
    late = replace(PLAIN, connect_args={"keepalives_idle": 8, "keepalives_interval": 1, "keepalives_count": 3})
    assert hang_bound(late, SILENT, LINUX) == retransmission(LINUX), "keepalive is off while data is outstanding"
    assert hang_bound(replace(PLAIN, connect_args={"tcp_user_timeout": 5000}), SILENT, LINUX).least == 5


def test_waiting_for_an_answer_is_keepalives_affair() -> None:
    assert hang_bound(PLAIN, LOST, LINUX) == Bound(7875.0, 7875.0, hang_bound(PLAIN, LOST, LINUX).why)
    own = replace(PLAIN, connect_args={"keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 3})
    assert hang_bound(own, LOST, LINUX).most == 8  # measured: 8.2 s
    assert hang_bound(replace(PLAIN, connect_args={"keepalives": 0}), LOST, LINUX).most is None
    assert hang_bound(PLAIN, LOST_RESET, LINUX).least == 7200
    limited = replace(own, connect_args={**own.connect_args, "tcp_user_timeout": 7000})
    assert hang_bound(limited, LOST, LINUX).most == 7


def test_a_proxy_that_acknowledges_is_never_given_up() -> None:
    every = {"keepalives_idle": 1, "tcp_user_timeout": 2000}
    assert hang_bound(replace(PLAIN, connect_args=every), BLACK_HOLE, LINUX).most is None


def test_odbc_keywords_are_keepalives_too() -> None:
    host = read_host(Product.SQLSERVER)
    assert client_keepalive(PLAIN, host) is not None
    assert client_keepalive(PLAIN, host)[:2] == (30, 1)  # type: ignore[index]
    own = replace(PLAIN, connect_args={"KeepAlive": "8", "KeepAliveInterval": "2"})
    assert client_keepalive(own, host)[:2] == (8, 2)  # type: ignore[index]


def test_ghosts_live_by_the_servers_keepalive() -> None:
    assert ghost_bound(PLAIN, SILENT, LINUX).most == 7875
    assert ghost_bound(PLAIN, SILENT, LINUX._replace(server_keepalive=(60, 10, 3))).most == 90
    own = replace(PLAIN, connect_args={"options": "-c tcp_keepalives_idle=60 -c tcp_keepalives_interval=10"})
    assert ghost_bound(own, SILENT, LINUX).most == 60 + 10 * 9
    unknown = ghost_bound(PLAIN, SILENT, LINUX._replace(server_keepalive=(0, 0, 0)))
    assert unknown.most is not None
    assert unknown.least < unknown.most
    assert "operating system" in unknown.why
    assert "not known" in ghost_bound(PLAIN, SILENT, Host(15, None)).why


def test_this_host_is_read_and_a_strange_one_is_not_guessed(tmp_path: Path) -> None:
    host = read_host(Product.POSTGRESQL, (7200, 75, 9))
    assert host.retries == int(Path("/proc/sys/net/ipv4/tcp_retries2").read_text())
    assert host.keepalive is not None
    assert read_host(Product.POSTGRESQL, settings=tmp_path) == Host(None, None, None)
    (tmp_path / "tcp_retries2").write_text("many\n")
    assert read_host(Product.POSTGRESQL, settings=tmp_path).retries is None


def test_the_default_is_what_a_socket_of_this_host_has() -> None:
    """libpq switches keepalive on and leaves the times to the kernel: then a socket says what they are."""
    with socket.socket() as end:
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert read_host(Product.POSTGRESQL).keepalive == tuple(end.getsockopt(socket.IPPROTO_TCP, n) for n in names)


def test_a_user_timeout_ends_what_a_deaf_peer_does_not_acknowledge() -> None:
    """Real packets, dropped by a filter of the kernel's: the bound holds what the kernel then does."""
    from dbdoctor.faults.silence import can_silence, silence

    if not can_silence():
        pytest.fail("the tests run where packets can be dropped")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)
        client.settimeout(30)
        client.connect(server.getsockname())
        peer, _ = server.accept()
        with peer:
            silence(peer)
            began = time.monotonic()
            client.send(b"x")
            with pytest.raises(OSError, match="timed out"):
                client.recv(1)
            took = time.monotonic() - began
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bound = hang_bound(replace(PLAIN, connect_args={"tcp_user_timeout": 1000}), SILENT, LINUX)
    assert bound.least * 0.9 <= took
    assert took <= (bound.most or 0) + 5
