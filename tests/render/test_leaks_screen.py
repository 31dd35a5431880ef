"""The screen on a real terminal: what a person sees, how it follows the window, and how the terminal is left."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.servers.cli import Running
from tests.servers.terminal import Screen, TerminalResult, run_on_terminal
from tests.servers.waiting import wait_until

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "tests.render.screen_program")
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
HINT = "Ctrl-C ends with a summary"


def run(word: str, **other: object) -> TerminalResult:
    env = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **dict(other.pop("env", {}))}  # type: ignore[call-overload]
    return run_on_terminal(word, program=PROGRAM, env=env, **other)  # type: ignore[arg-type]


def drawn_last(drawn: str, columns: int = 80) -> tuple[str, ...]:
    """What stood on the alternate screen before it was left."""
    inside = drawn.rpartition(ENTER)[2].partition(LEAVE)[0]
    screen = Screen(columns)
    screen.feed("\n" * 100 + "\x1b[H" + inside)
    return screen.shown()


def ends_well(drawn: str) -> bool:
    """The alternate screen left as often as entered, and the cursor shown again."""
    return drawn.count(ENTER) == drawn.count(LEAVE) >= 1 and drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_what_a_person_sees() -> None:
    result = run("end")
    assert result.exit_code == 0
    lines = drawn_last(result.drawn)
    assert len(lines) == 24
    assert lines[0].startswith("dbdoctor leaks  postgresql://app@db1:5432/shop")
    assert lines[0].endswith("14:03:22Z")
    assert lines[1].startswith("slots  ███")
    assert any(line.startswith("LEAK     checkout-a") for line in lines)
    assert lines[-1] == HINT
    assert ends_well(result.drawn)
    assert "after the screen: end" in result.screen[-1]


def test_nothing_scrolls_or_is_erased_between_updates() -> None:
    inside = run("lost").drawn.split(ENTER)[1].split(LEAVE)[0]
    updates = inside.split("\x1b[H")[1:]
    assert len(updates) >= 3
    for update in updates:
        assert "\x1b[2J" not in update
        assert update.count("\n") <= 24


def test_colours_only_where_they_are_wanted() -> None:
    assert re.search(r"\x1b\[1;31mLEAK", run("end").drawn)
    plain = run("end", env={"NO_COLOR": "1"}).drawn
    assert not re.search(r"\x1b\[[0-9;]*m", plain)
    assert "LEAK" in plain


def test_a_dumb_terminal_is_left_alone() -> None:
    result = run("end", env={"TERM": "dumb"})
    assert "\x1b" not in result.drawn
    assert "LEAK" not in result.drawn


def test_an_encoding_of_few_letters() -> None:
    result = run("end", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert result.drawn.isascii()
    assert any("####" in line for line in drawn_last(result.drawn))


@pytest.mark.parametrize(("word", "code"), [("raise", 1), ("terminate", 7)])
def test_the_terminal_is_given_back_however_it_ends(word: str, code: int) -> None:
    result = run(word)
    assert result.exit_code == code
    assert ends_well(result.drawn)


def test_ctrl_c_gives_the_terminal_back() -> None:
    def press(running: Running, terminal: int) -> None:
        running.wait_for(HINT)
        os.write(terminal, b"\x03")

    result = run("wait", after_start=press)
    assert ends_well(result.drawn)
    assert "KeyboardInterrupt" in result.drawn


def test_what_is_typed_does_not_show_and_echo_comes_back() -> None:
    seen: list[bool] = []

    def press(running: Running, terminal: int) -> None:
        running.wait_for(HINT)
        seen.append(echoes(terminal))
        os.write(terminal, b"quoth\r\r\r")
        os.write(terminal, b"\x03")
        wait_until(lambda: LEAVE in running.text("terminal") and echoes(terminal), "the terminal as before")
        seen.append(echoes(terminal))

    assert "quoth" not in run("wait", after_start=press).drawn
    assert seen == [False, True]


def echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def _is_of(lines: int, drawn: str) -> bool:
    """Whether the last drawing fills a window of so many lines."""
    return HINT in drawn[drawn.rfind("\x1b[H") :] and len(_last(drawn)) == lines


def _last(drawn: str) -> tuple[str, ...]:
    screen = Screen(130)
    screen.feed(drawn[drawn.rindex("\x1b[H") :])
    return tuple(screen.shown())


def test_it_follows_the_window() -> None:
    def resize(running: Running, terminal: int) -> None:
        running.wait_for(HINT)
        before = len(running.text("terminal"))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 130, 0, 0))
        wait_until(lambda: _is_of(30, running.text("terminal")[before:]), "a drawing after the change")
        os.write(terminal, b"\x03")

    # COLUMNS says something else: on a screen that cannot be taken back, only the window itself counts.
    result = run("wait", after_start=resize)
    inside = result.drawn.split(LEAVE)[0]
    lines = _last(inside)
    assert len(lines) == 30
    assert len(lines[0]) == 130
    assert any(line.startswith("LEAK     checkout-api    app@shop") for line in lines)


def test_ctrl_z_lends_the_terminal_to_the_shell() -> None:
    def press(running: Running, terminal: int) -> None:
        running.wait_for(HINT)
        os.write(terminal, b"\x1a")
        running.wait_for("STOPPED")
        assert running.text("terminal").count(LEAVE) == 1
        assert echoes(terminal)
        before = len(running.text("terminal"))
        os.write(terminal, b"\r")
        wait_until(lambda: HINT in running.text("terminal")[before:], "the screen again")
        os.write(terminal, b"\x03")

    shell = ("bash", "-c", 'set -m; "$@"; echo STOPPED; read line; fg', "bash")
    result = run("wait", after_start=press, prefix=shell)
    assert result.drawn.count(ENTER) == 2
    assert ends_well(result.drawn)


def test_in_the_background_nothing_is_drawn() -> None:
    shell = ("bash", "-c", 'set -m; "$@" & wait; echo DONE', "bash")
    result = run("end", prefix=shell)
    assert ENTER not in result.drawn
    assert "after the screen: end" in result.drawn
    assert "DONE" in result.drawn


def test_an_update_costs_little() -> None:
    line = run("cost").screen[-1]
    assert line.startswith("after the screen: cost ")
    assert float(line.split()[-1]) <= 15.0
