"""Texts from servers and drivers, made harmless: what they hold stays visible, what it would do does not happen."""

from __future__ import annotations

import re

# C0 and C1 controls (terminal escapes begin with one), the marks that turn the writing direction, the separators that
# some terminals take for a line end, and lone surrogates, which cannot be written at all. Unicode 15, UAX #9.
_HARMFUL = "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def clean(text: str, most: int = 300) -> str:
    """`text` on one line, with control and direction characters shown as escapes, cut to `most` characters."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():  # nothing of the above is; and most texts are, which spares compiling the pattern
        return text
    return re.sub(_HARMFUL, lambda match: _SHORT.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def clean_lines(text: str, most: int = 2000) -> list[str]:
    """The same, for a text of our own whose lines are meant."""
    return [clean(line, most) for line in text.split("\n")]


def cut(text: str, columns: int) -> str:
    """As much of `text` as fits into `columns` of a terminal, where East Asian wide letters take two."""
    if text.isascii():
        return text[: max(0, columns)]
    from unicodedata import combining, east_asian_width

    taken = 0
    for position, letter in enumerate(text):
        taken += 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1
        if taken > columns:
            return text[:position]
    return text


def fill(text: str, width: int, indent: str, first: str | None = None) -> str:
    """A paragraph wrapped at `width`; a word longer than that is left whole, so that it can be copied."""
    start = indent if first is None else first
    if len(start) + len(text) <= width and "  " not in text:
        return start + text
    import textwrap

    return textwrap.fill(
        text,
        width=max(width, 40),
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
