"""Colour, where it is wanted: on a terminal, unless NO_COLOR, TERM=dumb or --no-color; always with FORCE_COLOR.

Colour only repeats what a word says (https://no-color.org, https://force-color.org).
"""

from __future__ import annotations

import os
from typing import NamedTuple, TextIO

SEVERITY_COLOUR = {"error": "red", "warning": "yellow", "info": "cyan"}


class Style(NamedTuple):
    """How one stream is written: in colour or not, how wide, whether a person watches it, and whether it takes any letter."""

    colour: bool
    width: int
    terminal: bool
    unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO, *, no_color: bool = False) -> Style:
        """What suits this stream."""
        terminal = stream.isatty()
        width = columns_of(stream) if terminal else 80
        return cls(
            _wants_colour(terminal=terminal, no_color=no_color),
            max(40, min(width, 120)),
            terminal and os.environ.get("TERM") != "dumb",
            (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf"),
        )

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        """`text` in a colour, or as it is."""
        if not self.colour:
            return text
        import typer

        return typer.style(text, fg=colour, bold=bold)

    def severity(self, severity: str, text: str) -> str:
        """`text` in the colour of an error, a warning or a note."""
        return self.paint(text, SEVERITY_COLOUR.get(severity), bold=True)


def columns_of(stream: TextIO, *, trust_environment: bool = True) -> int:
    """How wide the terminal behind this stream is: as COLUMNS says, else as it says itself, else 80."""
    said = os.environ.get("COLUMNS", "")
    told = int(said) if said.isdecimal() and len(said) < 6 else 0
    try:
        real = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        real = 0
    return ((told or real) if trust_environment else (real or told)) or 80


def _wants_colour(*, terminal: bool, no_color: bool) -> bool:
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    forced = os.environ.get("FORCE_COLOR")
    return bool(forced and forced != "0") or (terminal and forced != "0")
