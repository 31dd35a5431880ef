"""Texts in columns: how wide a text is on a terminal, and a text made exactly as wide as its cell.

Whatever a cell holds, the cells beside it stay where they are. So letters on whose width terminals do not agree are shown
as escapes here, and no pile of accents reaches into the lines above.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbdoctor.render.clean import clean, cut

# Written before or over another letter, or joined with it, or two wide only since a newer Unicode: spacing marks,
# variation selectors, Hangul's parts, flags' halves, skin tones, hexagrams, counting rods.
_UNSURE = (
    "[\u115f\u1160-\u11ff\u2630-\u2637\u268a-\u268f\u302a-\u302f\u3164\u4dc0-\u4dff\ud7b0-\ud7fb\ufe00-\ufe0f\uffa0"
    "\U00016fe0-\U00016fff\U0001d300-\U0001d37f\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0000-\U0010ffff]"
)
_MOST_MARKS = 2
# Characters of a text looked at; no cell is wider.
_LONGEST = 300
_BARS = "▁▂▃▄▅▆▇"
_PLAIN_BARS = ".:|"
# Sessions; fewer do not fill the bars.
_LEAST_SPAN = 3


def plain(text: str, *, unicode: bool = True) -> str:
    """`text` on one line, harmless, of letters whose width is known; ASCII alone without `unicode`."""
    text = clean(text, _LONGEST)
    if text.isascii():
        return text
    from unicodedata import normalize

    text = "".join(_letters(re.sub(_UNSURE, _escaped, normalize("NFC", text))))
    return text if unicode else text.replace("…", "~").encode("ascii", "backslashreplace").decode()


def width(text: str) -> int:
    """Columns that a text which is `plain` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(0 if category(x) in {"Mn", "Me"} else 2 if east_asian_width(x) in "WF" else 1 for x in text)


def shorten(text: str, columns: int, *, unicode: bool = True) -> str:
    """A plain text in `columns` at most; where something is missing it ends in … (`~` without `unicode`)."""
    if width(text) <= columns:
        return text
    return cut(text, columns - 1) + ("…" if unicode else "~") if columns > 0 else ""


def fitted(text: str, columns: int, *, right: bool = False, unicode: bool = True) -> str:
    """A plain text in exactly `columns`."""
    text = shorten(text, columns, unicode=unicode)
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def spark(counts: Sequence[int | None], columns: int, *, unicode: bool = True) -> str:
    """How a count moved, in at most `columns` letters; a gap is `·` (`?` without `unicode`).

    Its lowest is the lowest bar, and half its height is the least that fills the bars: what stays is a flat line, and a
    small step looks small.
    """
    bars = _BARS if unicode else _PLAIN_BARS
    values = _squeezed(counts, columns)
    known = [value for value in values if value is not None]
    low, peak = min(known, default=0), max(known, default=0)
    span = max(peak - low, peak / 2, _LEAST_SPAN)
    gap = "·" if unicode else "?"
    return "".join(gap if value is None else bars[round((value - low) * (len(bars) - 1) / span)] for value in values)


def _squeezed(counts: Sequence[int | None], columns: int) -> list[int | None]:
    """As many values as there are columns: of several the highest, and a gap where half of them are."""
    if len(counts) <= columns:
        return list(counts)
    result: list[int | None] = []
    for column in range(columns):
        part = counts[column * len(counts) // columns : (column + 1) * len(counts) // columns]
        known = [count for count in part if count is not None]
        result.append(max(known) if 2 * len(known) > len(part) else None)
    return result


def _letters(text: str) -> list[str]:
    from unicodedata import category

    result: list[str] = []
    marks = 0
    for letter in text:
        kind = category(letter)
        if kind in {"Mn", "Me"}:
            marks += 1
            if marks <= _MOST_MARKS and result:
                result.append(letter)
            continue
        marks = 0
        result.append(_escape(letter) if kind == "Mc" or not letter.isprintable() else letter)
    return result


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])


def _escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
