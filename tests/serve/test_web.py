"""The exporter's address and pages, and clients that are wrong, slow, or too many."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbdoctor.serve.fleet import Fleet
from dbdoctor.serve.target_watch import Pacing
from dbdoctor.serve.web import Web
from dbdoctor.targets.parse import parse_dsn
from tests.serve.serving import Serving, ask, serving, write_config
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.network import refused_port
from tests.servers.waiting import wait_until

NOBODY = "postgresql://app@127.0.0.1:1/shop"


@pytest.fixture(scope="module")
def exporter() -> Iterator[Serving]:
    with serving(NOBODY, "--no-config") as at:
        at.wait_for("dbdoctor_up", 0.0)
        yield at


def test_the_pages(exporter: Serving) -> None:
    index, health = ask(exporter.port, "/"), ask(exporter.port, "/healthz")
    assert "fails at connect: connection-refused" in index.text
    assert "default-src 'none'" in index.headers["Content-Security-Policy"]
    assert health.status == 200
    assert json.loads(health.text) == {"status": "ok", "targets": 1, "judged": 1, "up": 0, "hanging": 0}
    assert ask(exporter.port, "/metrics?name[]=up").status == 200


def test_what_is_not_there(exporter: Serving) -> None:
    assert ask(exporter.port, "/../etc/passwd").status == 404
    assert ask(exporter.port, "/metrics", method="POST").status == 501
    head = ask(exporter.port, "/metrics", method="HEAD")
    assert (head.status, head.text) == (200, "")
    assert int(head.headers["Content-Length"]) > 1000


def test_clients_that_say_nothing_are_left_and_do_not_stop_the_others(exporter: Serving) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
            silent.sendall(b"GET /metrics HT")
        assert ask(exporter.port, "/metrics").status == 200
        silent.settimeout(20)
        assert silent.recv(1) == b""


def test_too_many_clients_are_turned_away_and_then_there_is_room_again(exporter: Serving) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port))) for _ in range(40)]
        many[-1].settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert many[-1].recv(1) == b""
        # The first is left alone until it has been silent for too long.
        assert select.select([many[0]], [], [], 0)[0] == []

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return ask(exporter.port, "/healthz").status == 200
        return False

    wait_until(answers, "room")


@pytest.mark.parametrize("place", ["0.0.0.0:0", ":0", "[::]:0"])
def test_beyond_this_machine_needs_yes(place: str) -> None:
    result = run_dbdoctor("serve", NOBODY, "--no-config", "--listen", place)
    assert result.exit_code == 2
    assert "can be read from other machines" in result.stderr
    assert "--yes" in result.stderr


def test_with_yes_it_listens_everywhere() -> None:
    with start_dbdoctor("serve", NOBODY, "--no-config", "--listen", "0.0.0.0:0", "--yes") as running:
        assert ask(Serving(running).port, "/healthz", host="127.0.0.2").status == 200


@pytest.mark.parametrize("place", ["[::1]:0", "localhost:0"])
def test_other_names_of_this_machine(place: str) -> None:
    with start_dbdoctor("serve", NOBODY, "--no-config", "--listen", place) as running:
        at = Serving(running)
        host = "::1" if "[::1]" in running.text("stderr") else "127.0.0.1"
        assert ask(at.port, "/healthz", host=host).status == 200


@pytest.mark.parametrize(
    "place", ["9797", "localhost", "127.0.0.1:99999", "no such host:1", "[127.0.0.1", "::1:9797", ""]
)
def test_an_address_that_is_none(place: str) -> None:
    result = run_dbdoctor("serve", NOBODY, "--no-config", "--listen", place)
    assert result.exit_code == 2
    assert "--listen" in result.stderr


def test_a_port_that_is_taken(exporter: Serving) -> None:
    result = run_dbdoctor("serve", NOBODY, "--no-config", "--listen", f"127.0.0.1:{exporter.port}")
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{exporter.port}" in result.stderr
    assert "port 0 is any free one" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [("--interval", "100ms"), ("--interval", "2h"), ("--login-every", "1s"), ("--login-every", "2d"), ("--all",)],
)
def test_options_out_of_range(wrong: tuple[str, ...]) -> None:
    result = run_dbdoctor("serve", NOBODY, "--no-config", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr or wrong[0] == "--all"


def test_without_the_client_it_says_what_to_install(tmp_path: Path) -> None:
    blocked = (
        sys.executable,
        "-c",
        "import sys; sys.modules['prometheus_client'] = None; from dbdoctor.cli import main; main()",
    )
    with start_dbdoctor("serve", NOBODY, "--no-config", program=blocked) as running:
        result = running.finish()
    assert result.exit_code == 2
    assert "pip install 'dbdoctor[serve]'" in result.stderr


def test_profiles_of_one_place_have_names_of_their_own() -> None:
    with refused_port() as nobody:
        dsn = f"postgresql://app@127.0.0.1:{nobody}/shop"
        with serving(dsn, f"{dsn}?application_name=b", "--config", write_config({"x": dsn})) as at:
            at.wait_for("dbdoctor_up", 0.0, target=f"{dsn} (2)")
            assert len(at.values("dbdoctor_up")) == 2


def test_a_fault_of_ours_is_an_answer() -> None:
    faults: list[Exception] = []

    def fails() -> bytes:
        raise RuntimeError("a fault of ours")

    target = parse_dsn("postgresql://app@127.0.0.1:1/x")
    fleet = Fleet([target], Pacing(1.0, 300.0), judge=lambda it: it, say=lambda _: None, on_fault=faults.append)
    web = Web(fleet, "127.0.0.1", 0)
    web.start()
    try:
        assert ask(web.port, "/metrics").status == 200
        fleet.text = fails  # type: ignore[method-assign]
        assert ask(web.port, "/metrics").status == 500
        assert ask(web.port, "/healthz").status == 200
    finally:
        web.stop()
    assert [str(fault) for fault in faults] == ["a fault of ours"]
