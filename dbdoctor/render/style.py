"""Colour, where it is wanted: on a terminal, unless NO_COLOR, TERM=dumb or --no-color; always with FORCE_COLOR.

Colour only repeats what a word says (https://no-color.org, https://force-color.org).
"""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple, TextIO

_SEVERITY = {"error": "red", "warning": "yellow", "info": "cyan"}


class Style(NamedTuple):
    """How one stream is written: in colour or not, how wide, and whether a person watches it."""

    colour: bool
    width: int
    terminal: bool

    @classmethod
    def of(cls, stream: TextIO, *, no_color: bool = False) -> Style:
        """What suits this stream."""
        terminal = stream.isatty()
        width = shutil.get_terminal_size((80, 24)).columns if terminal else 80
        return cls(
            _wants_colour(terminal=terminal, no_color=no_color),
            max(40, min(width, 120)),
            terminal and os.environ.get("TERM") != "dumb",
        )

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        """`text` in a colour, or as it is."""
        if not self.colour:
            return text
        import typer

        return typer.style(text, fg=colour, bold=bold)

    def severity(self, severity: str, text: str) -> str:
        """`text` in the colour of an error, a warning or a note."""
        return self.paint(text, _SEVERITY.get(severity), bold=True)


def _wants_colour(*, terminal: bool, no_color: bool) -> bool:
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    forced = os.environ.get("FORCE_COLOR")
    return bool(forced and forced != "0") or (terminal and forced != "0")
