"""Names, addresses, routes: what fails before a server is reached, in namespaces of the child process."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.probe.conftest import Named
from tests.servers.cli import run_dbdoctor
from tests.servers.network import (
    NO_ROUTE_TO_HOST,
    SILENT_HOST,
    UNREACHABLE,
    black_hole,
    free_port_on_both,
    private_names,
    private_network,
    refused_port,
)
from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace


def dsn(host: str, port: int = 5432) -> str:
    return f"postgresql://app:secret-pass-1@{host}:{port}/shop"


def test_name_not_found(named: Named) -> None:
    with private_names() as prefix:
        named("name-not-found", dsn("no-such-host.example"), prefix=prefix, what="name not found")


def test_resolver_silent(named: Named) -> None:
    with private_names(resolver="silent") as prefix:
        answer = named("resolver-silent", dsn("db.example"), prefix=prefix, what="resolver silent")
    assert [stage["name"] for stage in answer.object["stages"]] == ["resolve"]


def test_resolver_refusing(named: Named) -> None:
    with private_names(resolver="refusing") as prefix:
        named("resolver-failed", dsn("db.example"), prefix=prefix, what="no name server listens")


def test_refused(named: Named) -> None:
    with refused_port() as port:
        named("connection-refused", dsn("127.0.0.1", port), what="connection refused")


def test_network_unreachable(named: Named) -> None:
    named("host-unreachable", dsn(UNREACHABLE), what="network unreachable")


def test_no_route_to_host(named: Named) -> None:
    with private_network() as prefix:
        named("host-unreachable", dsn(NO_ROUTE_TO_HOST), prefix=prefix, what="no route to host")


def test_black_hole(named: Named) -> None:
    with private_network() as prefix:
        named("no-answer", dsn(SILENT_HOST), prefix=prefix, what="black hole (packets dropped)")


def test_full_accept_queue(named: Named) -> None:
    with black_hole() as port:
        named("no-answer", dsn("127.0.0.1", port), what="accept queue full")


def test_socket_missing(named: Named, tmp_path: Path) -> None:
    named("socket-missing", f"postgresql:///shop?host={tmp_path}&user=app", what="no socket there")


def test_socket_without_a_server(named: Named) -> None:
    place = workspace().directory("stale", mode=0o755)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(place / ".s.PGSQL.5432"))
    named("socket-stale", f"postgresql:///shop?host={place}&user=app", what="socket without a server")


def test_black_hole_on_one_of_two_addresses() -> None:
    """The silent address is named, and the one that answers is used all the same, within the login timeout."""
    port = free_port_on_both()
    with (
        PostgresServer("embedded", settings={"listen_addresses": "127.0.0.2"}, port=port) as server,
        black_hole("127.0.0.1", port),
        private_names({"db.example": ["127.0.0.1", "127.0.0.2"]}) as prefix,
    ):
        text = server.dsn(host="db.example")
        result = run_dbdoctor("check", text, "--no-config", "--login-timeout", "2s", prefix=prefix)
    assert result.exit_code == 0, result.stdout
    assert "warning[no-answer]" in result.stdout
    assert "127.0.0.2" in result.stdout
    assert result.seconds < 2.8


def test_the_deadline_holds_while_everything_hangs() -> None:
    with private_names(resolver="silent") as prefix:
        result = run_dbdoctor("check", dsn("db.example"), "--no-config", "--login-timeout", "700ms", prefix=prefix)
    assert result.exit_code == 3
    assert "resolver-silent" in result.stdout
    assert result.seconds < 0.7 + 0.3 + 0.5  # and half a second to start the process


def test_what_hangs_is_seen_while_it_hangs() -> None:
    from tests.servers.cli import start_dbdoctor

    with black_hole() as port:
        running = start_dbdoctor("check", dsn("127.0.0.1", port), "--no-config", "--login-timeout", "4s")
        seen = running.wait_for("no answer for 1.", seconds=3.5)
        assert seen < 3.5
        assert running.finish().exit_code == 3


def test_interrupted() -> None:
    import signal

    from tests.servers.cli import start_dbdoctor

    for number in (signal.SIGINT, signal.SIGTERM):
        with black_hole() as port:
            running = start_dbdoctor("check", dsn("127.0.0.1", port), "--no-config", "--login-timeout", "20s")
            running.wait_for("no answer for 1.")
            running.send_signal(number)
            result = running.finish(timeout=5)
        assert result.exit_code == 130
        assert "Traceback" not in result.stderr
        assert result.outlived_by == ()
