"""Loads the servers' fixtures, says which servers are on, and fails the session when something of ours is left behind."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import pytest

from tests.servers.workspace import Workspace, is_made, workspace

pytest_plugins = ["tests.servers.fixtures", "tests.failure_table"]

_left: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    # As Ctrl-C: fixtures are torn down. (After kill -9 the guard cleans up: tests/servers/guard.py.)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> None:
    """What one test made dbdoctor remember would be masked in the next one's texts; a process of its own knows none."""
    from dbdoctor.model import secret

    secret._known.clear()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-xdist 3.8 writes a test's group into `_nodeid`, which pytest 9.2 reads no longer: groups would do nothing."""
    for item in items:
        written = getattr(item, "_nodeid", None)
        if isinstance(written, str) and written != item.nodeid:
            from _pytest.nodeid import coerce_node_id

            item._id = coerce_node_id(written)


def pytest_report_header(config: pytest.Config) -> str:
    # Not before: pytest rewrites the assertions of its plugins, if it is the first to import them.
    from tests.servers.fixtures import available

    return available()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_made():
        place = workspace()
        _left.extend(leftovers(place))
        place.close()
        _left.extend([f"directory {place.root}"] if place.root.exists() else [])
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = _left
    if _left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # What a worker of xdist found (a worker that was killed says nothing).
    _left.extend(getattr(node, "workeroutput", {}).get("left", []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _left:
        terminalreporter.section("the tests left something behind", red=True)
        for line in _left:
            terminalreporter.write_line(line)


def leftovers(place: Workspace) -> list[str]:
    """Processes that were started in the workspace and still run, whoever is their parent."""
    from tests.servers.cli import command_of, relatives

    named = [f"{name} (process {pid}) was not stopped" for pid, name in place.running.items()]
    found = relatives(place.root) - set(place.running) - {place.guard_pid()}
    return named + [f"process {pid}: {command_of(pid)}" for pid in sorted(found)]
