"""What `run` says on stderr while the program runs: a line an event, each beginning `dbdoctor:`, beside the program's own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.render.clean import clean
from dbdoctor.render.style import Style
from dbdoctor.traces.news import Ended, Frame, Held, Holder, News, Stopped, TimedOut

# Lines of code named beside a pool timeout.
_MOST_LINES = 4


def news_line(news: News, style: Style) -> str:
    """One event as one line; harmless to print."""
    match news:
        case Held():
            return _line(_held(news), "yellow", style)
        case Ended():
            return _line(_ended(news), "green" if news.how == "returned" else "yellow", style)
        case TimedOut():
            return _line(_timed_out(news), "red", style)
        case Stopped():
            text = f"the recorder stopped in process {news.process} ({news.why}); the program is not affected"
            return _line(text, "yellow", style)


def note_line(text: str, style: Style) -> str:
    """Something else, in the same way."""
    return _line(text, "cyan", style)


def place(frames: Sequence[Frame]) -> str:
    """`shop.py:12 take_order`: the first frame outside installed packages, as seen from here."""
    if not frames:
        return "a line that is not known"
    file, line, function = next((frame for frame in frames if "-packages/" not in frame[0]), frames[0])
    here = os.getcwd() + "/"  # noqa: PTH109 - of a text, not of a file
    return f"{file.removeprefix(here)}:{line} {function}"


def _line(text: str, colour: str, style: Style) -> str:
    return f"{style.paint('dbdoctor:', colour, bold=True)} {clean(text, 1000)}"


def _held(news: Held) -> str:
    session = "" if news.session is None else f", session {news.session}"
    whose = f"process {news.process}{session}, {_thread(news.thread)}"
    return f"connection held for {_seconds(news.seconds)}, taken at {place(news.taken_at)} ({whose})"


def _ended(news: Ended) -> str:
    after = f"after {_seconds(news.seconds)}"
    taken = f"the connection taken at {place(news.taken_at)} (process {news.process})"
    if news.how == "returned":
        where = f" at {place(news.returned_at)}" if news.returned_at else ""
        return f"returned {after}{where}: {taken}"
    if news.how == "garbage-collected":
        return f"never returned, but collected as garbage {after}: {taken}"
    if news.how == "detached":
        return f"detached from its pool {after}: {taken}"
    return f"out of sight {after}: {taken}"


def _timed_out(news: TimedOut) -> str:
    waited = f"pool timeout after {_seconds(news.waited)} at {place(news.wanted_at)} (process {news.process})"
    return f"{waited}; held by: {_holders(news.holders, news.more)}"


def _holders(holders: Sequence[Holder], more: int) -> str:
    """`4 connections by shop.py:12 take_order, the longest for 92 s; ...`, by line of code."""
    if not holders:
        return "nobody whom the recorder knows"
    counted = Counter(place(one.taken_at) for one in holders)
    longest: dict[str, float] = {}
    for one in holders:
        longest[place(one.taken_at)] = max(one.seconds, longest.get(place(one.taken_at), 0.0))
    parts = [
        f"{shown}, {'for' if count == 1 else f'{count} connections, the longest for'} {_seconds(longest[shown])}"
        for shown, count in counted.most_common(_MOST_LINES)
    ]
    left = sum(count for _, count in counted.most_common()[_MOST_LINES:]) + more
    return "; ".join([*parts, *([f"{left} more"] if left else [])])


def _thread(name: str) -> str:
    return name if name.startswith("task ") else f"thread {name}"


def _seconds(seconds: float) -> str:
    """Whole seconds up to two minutes, since that is how people give a limit."""
    return f"{seconds:.0f} s" if 9.95 <= seconds < 119.5 else format_duration(seconds)
