"""`dbdoctor` on a terminal: a pty of the size asked for, and what a person would see on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.cli import DBDOCTOR, Result, Running, start_dbdoctor

SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78cM]")


@dataclass(frozen=True)
class TerminalResult:
    """What one run drew."""

    exit_code: int
    # Every byte that came, control sequences too.
    drawn: str
    # The lines as they stand at the end, without trailing blanks; colours and movements applied.
    screen: tuple[str, ...]
    # stdout, when it was a pipe.
    stdout: str
    seconds: float
    # Seconds since the start, "terminal" or "stdout", text.
    pieces: tuple[tuple[float, str, str], ...]
    result: Result


class Screen:
    """Just enough of a terminal to know what a person sees: the cursor moves, and lines are erased."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Draws `text`."""
        position = 0
        for match in SEQUENCE.finditer(text):
            self._plain(text[position : match.start()])
            if match[2]:
                self._control(match[2], match[1])
            position = match.end()
        self._plain(text[position:])

    def shown(self) -> tuple[str, ...]:
        """The lines, without trailing blanks and trailing empty lines."""
        lines = ["".join(line).rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)

    def _plain(self, text: str) -> None:
        for character in text:
            if character == "\n":
                self._move(self.row + 1, self.column)
            elif character == "\r":
                self.column = 0
            elif character == "\b":
                self.column = max(0, self.column - 1)
            elif character >= " ":
                self._put(character)

    def _put(self, character: str) -> None:
        if self.column >= self.columns:
            self._move(self.row + 1, 0)
        line = self.lines[self.row]
        line.extend(" " * (self.column + 1 - len(line)))
        line[self.column] = character
        self.column += 1

    def _move(self, row: int, column: int) -> None:
        self.row, self.column = max(0, row), max(0, min(column, self.columns))
        while len(self.lines) <= self.row:
            self.lines.append([])

    def _control(self, kind: str, parameters: str) -> None:
        numbers = [int(part) for part in parameters.strip("?").split(";") if part]
        first = numbers[0] if numbers else 0
        count = max(1, first)
        moves = {"A": (-count, 0), "B": (count, 0), "C": (0, count), "D": (0, -count)}
        if kind in moves:
            self._move(self.row + moves[kind][0], self.column + moves[kind][1])
        elif kind == "G":
            self._move(self.row, count - 1)
        elif kind in {"H", "f"}:
            self._move(count - 1, (numbers[1] - 1) if len(numbers) > 1 else 0)
        elif kind in {"J", "K"}:
            self._erase(kind, first)

    def _erase(self, kind: str, mode: int) -> None:
        line = self.lines[self.row]
        if mode == 2 and kind == "J":
            self.lines = [[] for _ in self.lines]
        elif mode == 0:
            del line[self.column :]
            if kind == "J":
                del self.lines[self.row + 1 :]
        elif mode == 2:
            line.clear()
        else:
            line[: self.column] = " " * min(self.column, len(line))


def run_on_terminal(
    *args: str | Path,
    columns: int = 80,
    lines: int = 24,
    env: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    prefix: Sequence[str] = (),
    cwd: Path | None = None,
    stdout_piped: bool = False,
    after_start: Callable[[Running, int], object] | None = None,
    program: Sequence[str] = DBDOCTOR,
) -> TerminalResult:
    """Runs dbdoctor on a terminal of that size. `after_start` gets the Running and our side's descriptor, to type keys
    (`os.write(descriptor, b"\\x03")` is Ctrl-C)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    # COLUMNS would win over the terminal's own size.
    size = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines), **(env or {})}
    try:
        running = start_dbdoctor(
            *args, env=size, prefix=prefix, cwd=cwd, terminal=theirs, stdout_piped=stdout_piped, program=program
        )
        running.also_read("terminal", os.dup(ours))
    finally:
        os.close(theirs)
    try:
        with running:
            if after_start is not None:
                after_start(running, ours)
            result = running.finish(timeout)
    finally:
        os.close(ours)
    drawn = running.text("terminal")
    screen = Screen(columns)
    screen.feed(drawn)
    return TerminalResult(result.exit_code, drawn, screen.shown(), result.stdout, result.seconds, result.pieces, result)
