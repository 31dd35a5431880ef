"""`dbdoctor measure-timeout` as a user runs it: every device, none, interruptions, the background, bad input."""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import guard, odbc
from tests.servers.cli import Result, Running, run_dbdoctor, start_dbdoctor
from tests.servers.devices import DEVICES, Device, device
from tests.servers.haproxy import HAProxy
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import TdsServer
from tests.servers.waiting import wait_until

# What is measured once is looked at by several tests: they go to one worker.
pytestmark = pytest.mark.alone

CASES = [(name, seconds) for name in DEVICES for seconds in (2, 4)]
INTERRUPTIONS = 50


def measure(*arguments: str | Path, **more: Any) -> Result:
    return run_dbdoctor("measure-timeout", "--no-config", *arguments, timeout=60, **more)


@pytest.fixture(scope="module")
def roomy() -> Iterator[PostgresServer]:
    """A server with room for several measurements at once."""
    with PostgresServer("embedded", settings={"max_connections": 400}) as server:
        yield server


@pytest.fixture(scope="module")
def answers(roomy: PostgresServer) -> dict[tuple[str, int], tuple[Device, Result, dict[str, Any]]]:
    """Every device with two timeouts, all at once."""

    def one(case: tuple[str, int]) -> tuple[Device, Result, dict[str, Any]]:
        with device(case[0], roomy, case[1]) as path:
            result = measure(path.dsn(), "--up-to", "30s", "--keepalive", "--json", prefix=path.prefix)
            return path, result, json.loads(result.stdout)

    with concurrent.futures.ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(one, CASES), strict=True))


def sessions(server: PostgresServer) -> int:
    return int(server.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbdoctor'")[0][0])


# --- what is found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}s")
def test_each_device_is_measured(case: tuple[str, int], answers: dict[tuple[str, int], Any]) -> None:
    path, result, answer = answers[case]
    assert result.exit_code == 0, result.stderr
    assert answer["drop"] == path.drop
    assert answer["keepalive_resets_it"] is path.keepalive_resets_it
    # The bracket holds whatever the machine is busy with; the value has the device's own lateness and a busy machine's.
    assert answer["at_least_seconds"] - 0.05 <= path.seconds <= answer["at_most_seconds"] + 0.05
    assert answer["idle_timeout_seconds"] == pytest.approx(path.seconds, abs=0.3 + path.late_seconds)
    assert answer["took_seconds"] <= 2.3 * path.seconds + 2 + 4
    assert answer["connections"]["at_once"] == 24
    assert (result.outlived_by, result.left_behind) == ((), ())


def test_where_it_sits_is_deduced(answers: dict[tuple[str, int], Any]) -> None:
    where = {name: answers[name, 4][2]["where"] for name in DEVICES}
    assert where == {
        "firewall": "network",
        "firewall-reset": "network",
        "haproxy": "proxy",
        "pgbouncer": "pooler",
        "postgresql": "server",
    }
    assert answers["pgbouncer", 4][2]["server_said"] == "client_idle_timeout"
    assert "idle_session_timeout" in answers["postgresql", 4][2]["likely"]


def test_what_a_silent_drop_leaves_on_the_server_is_seen_and_ended(
    answers: dict[tuple[str, int], Any], roomy: PostgresServer
) -> None:
    for name in ("firewall", "firewall-reset"):
        ghosts = answers[name, 4][2]["ghosts"]
        assert ghosts["sessions"] > 0
        assert ghosts["ended"] == ghosts["sessions"]
        assert ghosts["kept_seconds"] > 600
        assert "ghost-sessions" in {finding["code"] for finding in answers[name, 4][2]["findings"]}
    assert answers["haproxy", 4][2]["ghosts"] is None
    assert sessions(roomy) == 0


def test_the_settings_that_follow(answers: dict[tuple[str, int], Any]) -> None:
    for case in CASES:
        settings = answers[case][2]["settings"]
        assert 1 <= settings["pool_recycle"] < case[1]
        assert (settings["keepalives_idle"] is not None) == case[0].startswith("firewall")


def test_a_path_without_a_timeout(postgres: PostgresServer) -> None:
    result = measure(postgres.dsn(), "--up-to", "4s", "--connections", "8")
    assert result.exit_code == 0
    assert "none up to 4.0 s" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("none: no idle timeout up to 4.0 s")
    assert "at most 8 connections at once" in result.stderr


def test_a_declared_pool_above_it_is_an_error(roomy: PostgresServer, tmp_path: Path) -> None:
    with HAProxy(("127.0.0.1", roomy.port), checked=False, idle_timeout="2s") as proxy:
        dsn = roomy.dsn().replace(f":{roomy.port}/", f":{proxy.port}/")
        config = tmp_path / "dbdoctor.toml"
        config.write_text(f'[targets.shop]\ndsn = "{dsn}"\npool_recycle = 3600\n')
        result = run_dbdoctor("measure-timeout", "shop", "--config", config, "--up-to", "20s", "--connections", "6")
    assert result.exit_code == 1
    assert "error[recycle-above-idle-timeout]" in result.stdout
    assert "note[idle-timeout-found]" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("2.0 s: idle timeout of shop, closed")


def restart(server: PostgresServer, running: Running) -> None:
    server.restart()


def freeze_server(server: PostgresServer, running: Running) -> None:
    server.pause()
    threading.Event().wait(2.5)  # what is tried is that time passes
    server.resume()


def stop_process(server: PostgresServer, running: Running) -> None:
    running.send_signal(signal.SIGSTOP)
    threading.Event().wait(2.6)  # as above
    running.send_signal(signal.SIGCONT)


DISTURBANCES = {"restart": restart, "freeze_server": freeze_server, "stop_process": stop_process}


@pytest.fixture(scope="module")
def disturbed() -> dict[str, dict[str, Any]]:
    """What is found on a path without an idle timeout, when something else happens meanwhile; all at once."""

    def one(disturb: Callable[[PostgresServer, Running], None]) -> dict[str, Any]:
        with PostgresServer("embedded") as server:

            def meanwhile(running: Running) -> None:
                running.wait_for("measuring")
                wait_until(lambda: sessions(server) >= 3, "the connections")
                disturb(server, running)

            result = measure(server.dsn(), "--up-to", "3s", "--connections", "6", "--json", after_start=meanwhile)
            assert result.stdout, f"exit {result.exit_code}: {result.stderr}"
            answer: dict[str, Any] = json.loads(result.stdout)
            return answer

    with concurrent.futures.ThreadPoolExecutor(len(DISTURBANCES)) as pool:
        return dict(zip(DISTURBANCES, pool.map(one, DISTURBANCES.values()), strict=True))


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_what_is_no_idle_timeout(disturbance: str, disturbed: dict[str, dict[str, Any]]) -> None:
    answer = disturbed[disturbance]
    assert (answer["drop"], answer["idle_timeout_seconds"], answer["answered"]) == ("none", None, True)
    assert answer["notes"]
    if disturbance == "stop_process":
        assert any("stood still" in note for note in answer["notes"])


def test_sql_server_is_measured(start_tds: Callable[..., TdsServer]) -> None:
    server = start_tds()
    with HAProxy(("127.0.0.1", server.port), checked=False, idle_timeout="2s") as proxy:
        dsn = server.url(Encrypt="yes", TrustServerCertificate="yes").replace(f"%2C{server.port}", f"%2C{proxy.port}")
        result = measure(dsn, "--up-to", "20s", "--connections", "6", "--json", env=odbc.environment())
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["drop"]) == (0, "closed")
    assert answer["idle_timeout_seconds"] == pytest.approx(2.0, abs=0.6)


# --- interruptions


def test_ctrl_c_gives_what_is_known(postgres: PostgresServer) -> None:
    def interrupt(running: Any) -> None:
        running.wait_for("measuring")
        threading.Event().wait(2.5)  # so that something is known
        running.send_signal(signal.SIGINT)

    result = measure(postgres.dsn(), "--up-to", "1h", "--connections", "8", "--json", after_start=interrupt)
    answer = json.loads(result.stdout)
    assert result.exit_code == 130
    assert (answer["interrupted"], answer["answered"], answer["idle_timeout_seconds"]) == (True, False, None)
    assert 0.5 < answer["at_least_seconds"] < 10
    assert answer["at_most_seconds"] is None


def test_nothing_is_left_behind_whenever_it_is_interrupted(roomy: PostgresServer) -> None:
    """On the worst of paths, where a closed connection leaves its session on the server."""
    moments = random.Random(20).sample(range(200, 4700), INTERRUPTIONS)
    with device("firewall", roomy, 2) as path:

        def one(moment: int) -> Result:
            number = signal.SIGTERM if moment % 3 == 0 else signal.SIGINT

            def interrupt(running: Any) -> None:
                threading.Event().wait(moment / 1000)
                running.send_signal(number)
                if moment % 4 == 0:
                    threading.Event().wait(0.1)
                    running.send_signal(signal.SIGINT)

            words = (path.dsn(), "--up-to", "1h", "--connections", "5")
            # An import that is interrupted leaves its file to the garbage collector, which would warn of it.
            quiet = {"PYTHONWARNINGS": "ignore::ResourceWarning"}
            return measure(*words, prefix=path.prefix, after_start=interrupt, env=quiet)

        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            results = list(pool.map(one, moments))
        wait_until(lambda: sessions(roomy) == 0, "the end of all sessions")
    for result in results:
        assert result.exit_code in {130, 0, -signal.SIGINT, -signal.SIGTERM}, result.stderr
        assert (result.outlived_by, result.left_behind) == ((), ())
        assert "Traceback" not in result.stderr


# --- in the background


def test_in_the_background(roomy: PostgresServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with HAProxy(("127.0.0.1", roomy.port), checked=False, idle_timeout="3s") as proxy:
        dsn = roomy.dsn().replace(f":{roomy.port}/", f":{proxy.port}/")
        again = (dsn, "--up-to", "30s", "--connections", "8", "--background", state)
        with start_dbdoctor("measure-timeout", "--no-config", *again) as running:
            started = running.wait_for("has begun in the background")
            pid = wait_for_process(state)
            assert started < 10
            assert state.stat().st_mode & 0o777 == 0o600
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"measure_worker" in command
            assert b"127.0.0.1" not in command
            try:
                shown = measure(*again)
                assert (shown.exit_code, "idle timeout more than" in shown.stdout) == (0, True)
                wait_until(lambda: json.loads(state.read_text())["exit_code"] is not None, "the answer", 40)
            finally:
                guard.end({pid}, patience=5.0)
            answer = json.loads(measure(*again, "--json").stdout)
            assert answer["drop"] == "closed"
            assert answer["idle_timeout_seconds"] == pytest.approx(3.0, abs=0.6)
            assert "idle timeout of" in measure(*again).stdout
            assert "p@ss" not in state.read_text()
            assert "p%40ss" not in state.read_text()


def test_what_was_killed_in_the_background_is_resumed(roomy: PostgresServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    again = (roomy.dsn(), "--up-to", "4s", "--connections", "8", "--background", state)
    pids = set()
    try:
        with start_dbdoctor("measure-timeout", "--no-config", *again) as running:
            running.wait_for("has begun in the background")
            pids.add(wait_for_process(state))
            wait_until(lambda: json.loads(state.read_text())["at_least_seconds"] > 1.0, "something to be known", 30)
            os.kill(max(pids), signal.SIGKILL)
            wait_until(lambda: not guard.running(pids), "its end")
            with start_dbdoctor("measure-timeout", "--no-config", *again) as second:
                second.wait_for("goes on above")
                pids.add(wait_for_process(state, pids))
                wait_until(lambda: json.loads(state.read_text())["exit_code"] is not None, "the answer", 40)
        answer = json.loads(measure(*again, "--json").stdout)
        assert (answer["drop"], answer["answered"]) == ("none", True)
    finally:
        guard.end(guard.running(pids), patience=5.0)


def wait_for_process(state: Path, before: set[int] | None = None) -> int:
    """The process in the background, once it has taken its order."""
    wait_until(lambda: json.loads(state.read_text())["pid"] not in {0, *(before or ())}, "the process", 20)
    return int(json.loads(state.read_text())["pid"])


def test_a_file_that_is_something_else_is_not_touched(postgres: PostgresServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("dear diary")
    result = measure(postgres.dsn(), "--background", other)
    assert result.exit_code == 2
    assert other.read_text() == "dear diary"
    assert "cannot hold the state" in result.stderr


# --- what cannot be


def test_who_cannot_be_reached() -> None:
    result = measure("postgresql://app:secret-word@127.0.0.1:1/shop", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (answer["answered"], answer["idle_timeout_seconds"]) == (False, None)
    assert answer["findings"][0]["code"] == "connection-refused"
    assert "secret-word" not in result.stdout + result.stderr


def test_a_server_without_room_is_left_alone(start_postgres: Callable[..., PostgresServer]) -> None:
    server = start_postgres(settings={"max_connections": 8})
    result = measure(server.dsn())
    assert result.exit_code == 3
    assert "too few free sessions" in result.stderr


def test_a_server_with_little_room_gets_few_connections(start_postgres: Callable[..., PostgresServer]) -> None:
    server = start_postgres(settings={"max_connections": 16})
    result = measure(server.dsn(), "--up-to", "2s", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert 2 <= answer["connections"]["at_once"] < 16
    assert "not more to spare" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--up-to", "soon"), "`--up-to` is not a duration"),
        (("--up-to", "1s"), "`--up-to` must lie between 2s and 7d"),
        (("--resolution", "2"), "`--resolution` is a percentage"),
        (("--resolution", "50%"), "`--resolution` must lie between"),
        (("--connections", "0"), "connections"),
    ],
)
def test_bad_options(options: tuple[str, ...], words: str) -> None:
    started = time.monotonic()
    result = measure("postgresql://app@127.0.0.1:1/shop", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert time.monotonic() - started < 20
