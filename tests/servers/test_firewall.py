"""The devices that end idle connections do it as they say, and leave nothing behind; psycopg2 is the witness."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.cli import relatives
from tests.servers.devices import DEVICES, Device, device
from tests.servers.firewall import StatefulFirewall
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.workspace import REPOSITORY, is_root, workspace

IDLE_TIMEOUT = 2
# Idles, asks the server something, and says what came of it.
CLIENT = """
import json, sys, time
import psycopg2
dsn, idle, seconds_of_query, parameters = json.loads(sys.argv[1])
connection = psycopg2.connect(dsn, connect_timeout=5, **parameters)
connection.autocommit = True
cursor = connection.cursor()
cursor.execute("SELECT pg_sleep(0)")
time.sleep(idle)
print("asks", flush=True)
try:
    cursor.execute("SELECT pg_sleep(%s)", [seconds_of_query])
except psycopg2.OperationalError as error:
    print(str(error).splitlines()[0], flush=True)
else:
    print("ok", flush=True)
"""
KEEPALIVES_BELOW = {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 3}
ASKS_DEAD = "could not receive data from server: Connection timed out"
CLOSED = "server closed the connection unexpectedly"


def outcome(
    prefix: Sequence[str], dsn: str, *, idle: float, query: float = 0, patience: float = 10, **parameters: float
) -> str:
    """What the client said after it had idled, "hangs" when it said nothing for `patience` seconds."""
    arguments = json.dumps([dsn, idle, query, parameters])
    command = [*prefix, sys.executable, "-c", CLIENT, arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=idle + query + patience)
    except subprocess.TimeoutExpired as expired:
        assert expired.stdout == b"asks\n", expired
        return "hangs"
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


# Without root the tests' own network cannot have one.
PLACES = [True, False] if is_root() else [True]


@pytest.mark.parametrize("private", PLACES)
def test_what_each_client_sees_of_it(postgres: PostgresServer, private: bool) -> None:
    idle = IDLE_TIMEOUT + 1.5
    drop, reset = (
        StatefulFirewall(postgres.port, idle_timeout=IDLE_TIMEOUT, style=style, private=private)
        for style in ("drop", "reset")
    )
    cases: dict[str, tuple[StatefulFirewall, str, dict[str, float]]] = {
        "used in time": (drop, "ok", {"idle": IDLE_TIMEOUT / 2}),
        "nothing set": (drop, "hangs", {"idle": idle, "patience": 4}),
        "keepalives below": (drop, "ok", {"idle": idle, **KEEPALIVES_BELOW}),
        "tcp_user_timeout": (drop, ASKS_DEAD, {"idle": idle, "tcp_user_timeout": 2000}),
        # libpq sets it together with the keepalives, or not at all.
        "tcp_user_timeout without keepalives": (
            drop,
            "hangs",
            {"idle": idle, "tcp_user_timeout": 2000, "keepalives": 0, "patience": 4},
        ),
        # The answer is lost, and the client has nothing that it could send again.
        "answer too late": (drop, "hangs", {"idle": 0, "query": idle, "tcp_user_timeout": 2000, "patience": 4}),
        "reset, used in time": (reset, "ok", {"idle": IDLE_TIMEOUT / 2}),
        "reset, nothing set": (reset, CLOSED, {"idle": idle}),
        # The reset goes to the server, who sends; the client still waits.
        "reset, answer too late": (reset, "hangs", {"idle": 0, "query": idle, "patience": 4}),
    }

    def run(case: str) -> str:
        firewall, _, how = cases[case]
        return outcome(firewall.command(), postgres.dsn(host=firewall.host), **how)

    with drop, reset:
        with ThreadPoolExecutor(len(cases)) as clients:
            seen = dict(zip(cases, clients.map(run, cases), strict=True))
        assert seen == {case: expected for case, (_, expected, _) in cases.items()}
        assert drop.refused > 0
        assert reset.refused > 0


WITNESS = """
import json, select, sys, time
import psycopg2
dsn, patience = json.loads(sys.argv[1])
connection = psycopg2.connect(dsn, connect_timeout=5, keepalives=0)
connection.autocommit = True
connection.cursor().execute("SELECT 1")
started = time.monotonic()
came = bool(select.select([connection], [], [], patience)[0])
seconds = time.monotonic() - started
try:
    connection.poll()
except psycopg2.OperationalError as error:
    print("closed:", str(error).splitlines()[0], file=sys.stderr)
print(json.dumps([came, seconds, "".join(connection.notices)]))
"""


def see(path: Device) -> None:
    """Two clients at once: one that waits for what comes, one with keepalives."""
    with ThreadPoolExecutor(1) as other:
        kept = other.submit(outcome, path.prefix, path.dsn(), idle=4, **KEEPALIVES_BELOW)
        command = [*path.prefix, sys.executable, "-c", WITNESS, json.dumps([path.dsn(), path.seconds + 2])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        came, seconds, said = json.loads(done.stdout)
        # What drops without a word gives no sign by itself.
        assert came == (path.drop in {"closed", "server-error"}), done
        if came:
            assert path.seconds - 0.1 < seconds < path.seconds + path.late_seconds + 1.5
        assert (path.message or "") in said
        assert bool(path.message) == bool(said)
        assert (kept.result() == "ok") == path.keepalive_resets_it, kept.result()


def test_each_device_drops_as_it_says(postgres: PostgresServer) -> None:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(DEVICES)) as clients:
        paths = [stack.enter_context(device(name, postgres, 2)) for name in DEVICES]
        for path, seen in [(path, clients.submit(see, path)) for path in paths]:
            assert seen.exception() is None, path.name
    assert postgres.execute("SELECT FROM pg_roles WHERE rolname LIKE 'idle%'") == []


def interfaces() -> set[str]:
    return {place.name for place in Path("/sys/class/net").glob("fw*")}


KILLED = """
import os, signal, sys
from tests.servers.firewall import StatefulFirewall
from tests.servers.workspace import workspace
made = StatefulFirewall(5432, private=sys.argv[1] == "True").start()
print(workspace().root, *(made._interfaces if made.in_process else ()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("private", PLACES)
def test_nothing_stays_when_the_tests_are_killed(private: bool, number: int) -> None:
    tests = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(private)],
        cwd=REPOSITORY,
        env={**os.environ, **workspace().environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tests:
        assert tests.stdout is not None
        root, *names = tests.stdout.readline().split()
        assert set(names) <= interfaces()
        assert private or len(names) == 2
        assert relatives(Path(root))
        tests.send_signal(number)
    wait_until(lambda: not relatives(Path(root)) and not Path(root).exists(), "the processes' end")
    wait_until(lambda: not set(names) & interfaces(), "the interfaces' end")


class Recorded(StatefulFirewall):
    """Remembers its interfaces."""

    def __init__(self, server_port: int, *, private: bool) -> None:
        super().__init__(server_port, private=private)
        self.made: list[str] = []

    def _add(self, name: str, peer: str, router: int) -> bool:
        added = super()._add(name, peer, router)
        self.made += [name] if added else []
        return added


@pytest.mark.parametrize("private", PLACES)
def test_nothing_stays_when_it_cannot_be_built(private: bool, capfd: pytest.CaptureFixture[str]) -> None:
    running = dict(workspace().running)
    made = Recorded(65536, private=private)
    with pytest.raises(AssertionError, match=r"exited|did not start"):
        made.start()
    assert private or len(made.made) == 2
    assert not set(made.made) & interfaces()
    assert workspace().running == running


def test_it_can_be_taken_away_twice(postgres: PostgresServer) -> None:
    made = StatefulFirewall(postgres.port).start()
    made.stop()
    made.stop()
    with made:
        assert outcome(made.command(), postgres.dsn(host=made.host), idle=0) == "ok"
