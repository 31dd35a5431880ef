"""The screen of `leaks --watch`: one update a tick, nothing drawn that does not fit, and the terminal as before afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from dbdoctor.errors import UsageError
from dbdoctor.model.leaks import Event, LeaksReport
from dbdoctor.render.leaks_view import Frame, Line, Room, view
from dbdoctor.render.leaks_words import about
from dbdoctor.render.style import Style
from dbdoctor.render.terminal_mode import handling, in_foreground, quiet_keys, stop_here, undisturbed

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_REMEMBERED = 20


class Screen:
    """The terminal behind `stream` (stdout) while it shows what is watched; to be entered and left.

    `style` says whether colours and all letters are wanted; on a terminal that cannot be drawn on (`style.terminal` is
    False) nothing is done at all. A change of the window's size redraws at once, Ctrl-Z lends the terminal to the shell.
    """

    def __init__(
        self, style: Style, *, target: str = "", limit: int | None = None, stream: TextIO | None = None
    ) -> None:
        self._style = style
        self._stream = stream or sys.stdout
        self._frame = Frame(target, None, limit=1000 if limit is None else limit)
        self._events: deque[Event] = deque(maxlen=_REMEMBERED)
        self._lost: Event | None = None
        self._live: Live | None = None
        self._wanted = False
        # What is undone when the screen is left for good, and each time the shell gets its own back.
        self._entered = contextlib.ExitStack()
        self._shown = contextlib.ExitStack()
        self._busy = False
        self._pending: list[int] = []

    def __enter__(self) -> Self:
        if self._style.terminal:
            self._entered.enter_context(handling({signal.SIGWINCH: self._on_signal, signal.SIGTSTP: self._on_signal}))
            try:
                self._wanted = True
                self._draw()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wanted = False
        with undisturbed():
            self._leave()
            self._entered.close()

    def update(self, report: LeaksReport | None, events: Sequence[Event] = (), status: str | None = None) -> None:
        """Show this report (None: there is none yet), what has happened since the last update, and what is wrong now."""
        self._events.extend(events)
        for event in events:
            if event.kind in {"lost", "reconnected"}:
                self._lost = event if event.kind == "lost" else None
        if not status and self._lost:
            status = f"{self._lost.text} (since {about(time.time() - self._lost.at)})"
        target = report.target if report else self._frame.target
        self._frame = self._frame._replace(
            target=target, report=report, events=tuple(self._events), status=status or None
        )
        self._draw()

    # --- drawing

    def _draw(self) -> None:
        """Redraw, unless the terminal is the shell's just now."""
        if not self._wanted or self._busy or not in_foreground(self._stream):
            return
        self._busy = True
        try:
            from rich.console import ConsoleDimensions

            live = self._live or self._appear()
            live.console.size = ConsoleDimensions(*_size(self._stream))
            columns, lines = live.console.size
            shown = view(self._frame, Room(columns, lines, self._style.unicode))
            live.update(_text(shown, colour=self._style.colour), refresh=True)
        finally:
            self._busy = False
        while self._pending:
            self._handle(self._pending.pop())

    def _appear(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        console = Console(
            file=self._stream,
            force_terminal=True,
            color_system="standard" if self._style.colour else None,
            no_color=not self._style.colour,
            markup=False,
            emoji=False,
            highlight=False,
        )
        live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        with undisturbed():
            self._live = live
            self._shown.enter_context(quiet_keys())
            live.start()
        return live

    def _leave(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError, UsageError):  # the terminal is gone
                live.stop()
        self._shown.close()

    # --- signals

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """A drawing under way is not disturbed: what the signal asks for is done after it."""
        if self._busy:
            self._pending = [number]
        else:
            self._handle(number)

    def _handle(self, number: int) -> None:
        if number == signal.SIGTSTP:
            self._leave()
            stop_here(self._on_signal)
        self._draw()


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the window; asked each time, and COLUMNS is no help where lines that wrap cannot be taken back."""
    try:
        size: Any = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24


def _text(lines: Sequence[Line], *, colour: bool) -> Text:
    """The lines as Rich's Text, in which nothing is markup."""
    from rich.text import Text

    result = Text(no_wrap=True, overflow="crop", end="")
    for position, line in enumerate(lines):
        if position:
            result.append("\n")
        for span in line:
            style = f"{'bold ' if span.bold else ''}{span.colour or ''}".strip() if colour else ""
            result.append(span.text, style or None)
    return result
