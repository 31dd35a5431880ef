"""Which of PostgreSQL's messages a text is, whatever the server's language (`lc_messages`).

Most failures are told apart by SQLSTATE and C function. A few share both: only their words differ, and those are in the
server's language. `translations.json` beside this file has them, from PostgreSQL's own catalogues
(`tests/tools/make_translations.py` rebuilds it); it is read at the first call and not before.
"""

from __future__ import annotations

import re
from functools import cache

# printf's conversions as gettext's catalogues have them: `%s`, `%u`, `%m`, `%-5d`, and `%1$s` where the order differs.
_PLACEHOLDER = re.compile(r"%(?:\d+\$)?[-+#0']*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|z|j|t)?[a-zA-Z]")
_LOST = "\ufffd"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
# A message of an 8-bit server comes without its accents. With fewer ASCII letters left than this it could be anything.
_FEWEST_LETTERS = 8

_Segments = tuple[str, ...]


def which_message(text: str) -> str | None:
    """The English message id (a format string, as `role "%s" does not exist`) whose English or translated form `text` is.

    `text` is the message alone, without severity and detail. Where several forms match, the one with the most words of
    its own is meant; None when none matches, or when two say different things equally well. Linear in `text`'s length.
    """
    text = text.strip("\r\n")
    if _LOST in text:  # it was not UTF-8, and whoever decoded it put this for what it could not read
        return _best(_NOT_ASCII.sub(_LOST, text), _patterns_without_accents())
    return _best(text, _patterns())


def _best(text: str, patterns: tuple[tuple[int, _Segments, str], ...]) -> str | None:
    best = 0
    found: set[str] = set()
    for weight, segments, message in patterns:  # the heaviest come first
        if weight < best:
            break
        if _matches(segments, text):
            best = weight
            found.add(message)
    return found.pop() if len(found) == 1 else None


def _matches(segments: _Segments, text: str) -> bool:
    """Whether `text` is these segments in order, with anything between them (glob's `*`: leftmost is always right)."""
    first, *middle = segments
    if not middle:
        return text == first
    last = middle.pop()
    position, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return False
    for segment in middle:
        position = text.find(segment, position, max(position, end))
        if position < 0:
            return False
        position += len(segment)
    return position <= end


@cache
def _patterns() -> tuple[tuple[int, _Segments, str], ...]:
    found = []
    for message, languages in _read().items():
        forms = {message, *languages.values()}
        # Some translations run over two lines (French pg_hba.conf), and libpq's texts are read line by line.
        for form in forms | {form.partition("\n")[0] for form in forms}:
            segments = tuple(part.replace("%%", "%") for part in _PLACEHOLDER.split(form))
            found.append((sum(map(len, segments)), segments, message))
    return tuple(sorted(found, reverse=True))


@cache
def _patterns_without_accents() -> tuple[tuple[int, _Segments, str], ...]:
    found = []
    for _, segments, message in _patterns():
        plain = tuple(_NOT_ASCII.sub(_LOST, segment) for segment in segments)
        letters = sum(letter.isascii() and letter.isalpha() for segment in plain for letter in segment)
        if letters >= _FEWEST_LETTERS:
            found.append((sum(map(len, plain)), plain, message))
    return tuple(sorted(found, reverse=True))


def _read() -> dict[str, dict[str, str]]:
    import json
    from pathlib import Path

    path = Path(__file__).with_name("translations.json")
    translations: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return translations
