"""How a watch is shown while it goes on: a line on stderr, a line per event, JSON lines, or one screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from dbdoctor.cli.leaks_options import LeaksOptions
from dbdoctor.cli.progress import Progress
from dbdoctor.cli.streams import reader_is_gone
from dbdoctor.model.leaks import Event, LeaksReport
from dbdoctor.model.target import Target
from dbdoctor.render.leaks_words import about
from dbdoctor.watch.loop import Turn

if TYPE_CHECKING:
    from dbdoctor.cli.leaks_answer import Manner

# Off a terminal a sign of life comes so often (seconds).
_EVERY = 10.0


class View(Protocol):
    """Shows turns as they come; `wants_reports` says whether it needs a judgement with each."""

    wants_reports: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, turn: Turn, report: LeaksReport | None, events: Sequence[Event]) -> bool:
        """A turn, the last report, and what happened; gives whether anybody is still looking."""
        ...


def choose_view(target: Target, asked: LeaksOptions, manner: Manner) -> View:
    """What suits the request and the streams."""
    shown = target.profile or target.shown
    if asked.seconds is not None:
        return ProgressView(shown, asked.seconds)
    if manner.wants_json or not _is_screen():
        return LinesView(shown, wants_json=manner.wants_json, no_color=manner.no_color)
    return ScreenView(shown, asked, no_color=manner.no_color)


def _is_screen() -> bool:
    from dbdoctor.render.style import Style

    return Style.of(sys.stdout).terminal


class _Plain:
    """Enters and leaves without ado."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


class ProgressView(_Plain):
    """`watching db1 for 10 s: 4 s, 23 sessions` on stderr, redrawn on a terminal, else now and then."""

    wants_reports = False

    def __init__(self, shown: str, seconds: float) -> None:
        self._what = f"watching {shown} for {about(seconds)}"
        self._progress = Progress()
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._next = 0.0

    def __exit__(self, *_: object) -> None:
        self._progress.clear()

    def show(self, turn: Turn, report: LeaksReport | None, events: Sequence[Event]) -> bool:
        """How far it is, and what went wrong."""
        del report
        for event in events:
            self._progress.say(event.text)
        if turn.snapshot is None:
            return True
        passed = time.monotonic() - self._started
        count = len(turn.snapshot.sessions)
        text = f"{self._what}: {about(int(passed))}, {count} session{'' if count == 1 else 's'}"
        if self._terminal:
            self._progress.note(text)
        elif passed >= self._next:
            self._next = passed + _EVERY
            self._progress.say(text)
        return True


class LinesView(_Plain):
    """A line per event on stdout, as text or JSON; it ends when nobody reads them."""

    wants_reports = True

    def __init__(self, shown: str, *, wants_json: bool, no_color: bool) -> None:
        from dbdoctor.render.style import Style

        self._shown = shown
        self._wants_json = wants_json
        self._style = Style.of(sys.stdout, no_color=no_color)
        self._begun = False

    def show(self, turn: Turn, report: LeaksReport | None, events: Sequence[Event]) -> bool:
        """What happened; gives whether stdout is still read."""
        del report
        if turn.snapshot and not self._begun:
            self._begun = True
            count = len(turn.snapshot.sessions)
            text = f"watching {self._shown}: {count} session{'' if count == 1 else 's'}"
            self._print(Event(turn.snapshot.at, "note", text))
        for event in events:
            self._print(event)
        sys.stdout.flush()
        return not reader_is_gone()

    def _print(self, event: Event) -> None:
        if self._wants_json:
            from dbdoctor.render.leaks_json import event_json

            print(event_json(event))
        else:
            from dbdoctor.render.leaks_events import event_line

            print(event_line(event, self._style))


class ScreenView:
    """Everything on one screen of the terminal."""

    wants_reports = True

    def __init__(self, shown: str, asked: LeaksOptions, *, no_color: bool) -> None:
        from dbdoctor.render.leaks_screen import Screen
        from dbdoctor.render.style import Style

        self._screen = Screen(Style.of(sys.stdout, no_color=no_color), target=shown, limit=asked.limit)

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.__exit__(kind, error, trace)

    def show(self, turn: Turn, report: LeaksReport | None, events: Sequence[Event]) -> bool:
        """Redraw."""
        del turn
        self._screen.update(report, events)
        return True
