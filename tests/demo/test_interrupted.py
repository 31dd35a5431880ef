import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from dbdoctor.demo.embedded import embedded_server
from tests.demo.place import REPOSITORY, SESSION, processes_of, session_environment, wait_until_gone

# Starting takes about 0.5 s and stopping 0.1 s, so that these fall into every phase of it.
_SEED = 18
_MOMENTS = 20
_LAST = 1.0


def moments(salt: int) -> list[float]:
    """One random moment in each of 20 equal parts of the first second."""
    source = random.Random(_SEED + salt)
    return [(number + source.random()) * _LAST / _MOMENTS for number in range(_MOMENTS)]


def start(place, hold=0.25) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SESSION, str(hold)],
        cwd=REPOSITORY,
        env=session_environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def finish(process) -> None:
    process.communicate(timeout=30)


def pause(seconds: float) -> None:
    time.sleep(seconds)  # the moment is the test's input: there is no event to wait for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_at_any_moment(place, number):
    for moment in moments(number):
        process = start(place)
        pause(moment)
        os.killpg(process.pid, number)  # as a terminal does it, to the whole foreground group
        finish(process)
        assert list(place.iterdir()) == [], f"left after {moment:.3f} s"


def test_killed_at_any_moment(place):
    for moment in moments(signal.SIGKILL):
        process = start(place)
        pause(moment)
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)
        wait_until_gone(place)
        assert list(place.iterdir()) == [], f"left after {moment:.3f} s"


def test_interrupted_again_while_it_stops(place):
    for moment in moments(99):
        process = start(place)
        pause(moment)
        for _ in range(3):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            pause(0.01)
        finish(process)
        wait_until_gone(place)
        assert list(place.iterdir()) == [], f"left after {moment:.3f} s"


def test_interrupted_while_it_runs(place):
    process = start(place, hold=60)
    assert process.stdout is not None
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)
    finish(process)
    assert process.returncode == 1
    assert processes_of(place) == []
    assert list(place.iterdir()) == []


def postmaster(place) -> psutil.Process:
    # A process that it has just forked still shows its command line.
    candidates = {process.pid: process for process in processes_of(place) if "-D" in process.cmdline()}
    [found] = [process for process in candidates.values() if process.ppid() not in candidates]
    return found


def test_a_server_that_was_killed_is_cleaned_up(place, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(place))
    with embedded_server():
        postmaster(place).kill()
        wait_until_gone(place)
        assert list(place.iterdir()) == []


def test_a_frozen_server_is_killed(place, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(place))
    begin = time.monotonic()
    with embedded_server():
        for process in (postmaster(place), *postmaster(place).children()):
            process.suspend()
    assert time.monotonic() - begin < 20
    assert processes_of(place) == []
    assert list(place.iterdir()) == []


def test_a_process_forked_from_ours_does_not_keep_it_alive(place, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(place))
    with embedded_server():
        forked = os.fork()
        if forked == 0:
            signal.pause()
            os._exit(0)
    try:
        assert list(place.iterdir()) == []
        assert processes_of(place) == []
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)
