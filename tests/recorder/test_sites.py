"""Which frames a site is made of: the application's own line is among them, however many packages stand before it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbdoctor.recorder.sites import MOST_FRAMES, MOST_SITES, OTHER, Sites

_HERE = str(Path(__file__))


@pytest.mark.parametrize("installed", [0, 1, 2, 3, 4, 5, 40])
def test_the_application_is_named_behind_any_number_of_packages(installed: int) -> None:
    sites = Sites()
    helper = compile("def here(sites, frame):\n    return sites(frame(0))\n", "/venv/site-packages/driver.py", "exec")
    namespace: dict[str, Callable[..., int]] = {}
    exec(helper, namespace)
    numbers = []
    for find in (sites.outside, sites.here, sites.here):
        # One line, so that one site: the first look makes it, the next ones find it.
        numbers.append(_deepest(installed, find, namespace["here"]))
    assert len(set(numbers)) == 1
    frames = sites.frames[numbers[0]]
    assert len(frames) <= MOST_FRAMES
    own = [frame for frame in frames if frame[0] == _HERE]
    assert own, frames
    assert len([frame for frame in frames if "site-packages" in frame[0]]) <= 3


def _deepest(installed: int, find: Callable[..., int], helper: Callable[..., int]) -> int:
    call = _calls.setdefault(installed, _chain(installed, helper))
    return call(find)


_calls: dict[int, Callable[..., int]] = {}


def _chain(installed: int, helper: Callable[..., int]) -> Callable[..., int]:
    """A function that calls the helper through so many functions of packages."""
    call: Callable[..., int] = lambda find: helper(find, sys._getframe)  # noqa: E731
    for number in range(installed):
        namespace: dict[str, Callable[..., int]] = {}
        text = "def make(inner):\n    def called(find):\n        return inner(find)\n    return called\n"
        exec(compile(text, f"/venv/lib/site-packages/library/part{number}.py", "exec"), namespace)
        call = namespace["make"](call)  # type: ignore[assignment]
    return call


def test_code_without_end_is_told_as_one() -> None:
    sites = Sites()
    numbers = set()
    for number in range(MOST_SITES + 50):
        namespace: dict[str, Callable[..., int]] = {}
        exec(compile("def made(find, frame):\n    return find(frame(0))\n", f"/app/{number}.py", "exec"), namespace)
        numbers.add(namespace["made"](sites.outside, sys._getframe))
    assert OTHER in numbers
    assert len(numbers) <= MOST_SITES + 1
