"""What the catalogue holds of one failure."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One way in which connecting fails.

    `title` says what happened, with the figures. `means` says what that tells, here. `matters` is the wider picture,
    for the page only: what the application shows for it, and what it is often mistaken for. `fix` is what to do,
    `command` what to paste.
    """

    code: str
    title: str
    means: str
    matters: str
    fix: str
    command: str | None = None
