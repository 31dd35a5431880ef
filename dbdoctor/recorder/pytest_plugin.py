"""Fails a test that leaves a connection checked out, and names the line that took it. PYTEST_DONT_REWRITE.

The fixture `no_leaked_connections` watches one test, the option `--dbdoctor-leaks` all of them. pytest loads this in every
project of the environment, so nothing else is imported until a test is to be watched. Nothing is written to a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:
    from dbdoctor.recorder.watching import Leak, Watch

_FIXTURE = "no_leaked_connections"
_OPTION = "--dbdoctor-leaks"
_watch: Watch | None = None  # one for the process: SQLAlchemy is hooked once
_began: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # since when, by test that is watched


def pytest_addoption(parser: pytest.Parser) -> None:
    """As pytest calls it."""
    group = parser.getgroup("dbdoctor")
    group.addoption(
        _OPTION,
        action="store_true",
        default=False,
        help="fail every test that leaves a database connection of SQLAlchemy's checked out, and name the line that took it",
    )


@pytest.fixture
def no_leaked_connections(request: pytest.FixtureRequest) -> None:
    """The test fails when it leaves a connection of SQLAlchemy's checked out, or to the garbage collector.

    It is judged when the test and all its fixtures have ended. Connections that a fixture of a wider scope took in its setup
    may stay out.
    """
    _begin(request.node)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Before anything of the test: what is out now is not its."""
    if item.config.getoption(_OPTION) or _FIXTURE in getattr(item, "fixturenames", ()):
        _begin(item)
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    """A fixture of a wider scope may keep what it takes."""
    watch = _watch
    if watch is None or fixturedef.scope == "function":
        yield
        return
    before = watch.out()
    yield
    watch.excuse(before)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After everything of the test, its fixtures' ends included."""
    outcome: Any = yield
    began = _began.pop(item, None)
    if began is None or _watch is None:
        return
    leaks = _watch.leaks(began)
    if not leaks:
        return
    text = _told(leaks, item)
    if outcome.excinfo is not None:  # a fixture's own error comes first
        item.add_report_section("teardown", "connections left checked out", text)
    elif hasattr(outcome, "force_exception"):
        outcome.force_exception(pytest.fail.Exception(text, pytrace=False))
    else:  # pluggy before 1.1
        pytest.fail(text, pytrace=False)


def _begin(item: Any) -> None:
    global _watch  # noqa: PLW0603 - one for the process
    if _watch is None:
        try:
            from dbdoctor.recorder.watching import Watch

            _watch = Watch()
        except ImportError as error:
            if error.name is None or not error.name.startswith("sqlalchemy"):
                raise
            return  # without SQLAlchemy nothing can leak
    if item not in _began:
        _began[item] = _watch.begin()


def _told(leaks: list[Leak], item: pytest.Item) -> str:
    lines = []
    for leak in leaks:
        inner, *outer = leak.frames(str(item.config.rootpath)) or ["a line that is not known"]
        if leak.is_out:
            end = f"still checked out when the test ended (held {leak.seconds:.1f} s)"
        else:
            end = f"left to the garbage collector without being returned (held {leak.seconds:.1f} s)"
        lines.append(f"connection taken at {inner}, {end}")
        lines += [f"    called from {place}" for place in outer]
    return "\n".join(lines)
