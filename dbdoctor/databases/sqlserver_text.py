"""What all T-SQL questions have in common: times as numbers, names in brackets, refusals by their native number; pure.

Times are the server's local ones, so they are asked for as milliseconds of local time since 2000; who reads them knows
the server's offset of that moment. A time before 2000 (1900-01-01 is "never") is NULL: DATEDIFF would overflow on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Row = list[Any]
"""A row as the driver's process gives it: plain values."""

Ask = Callable[[str], list[Row]]
"""Asks one question; raises RefusedError when the server will not answer it."""

EPOCH = 946_684_800.0
"""2000-01-01 as Unix seconds: where our milliseconds begin."""

SLOW = frozenset({1222, 3617})
"""The server gave up by itself: lock timeout, attention. The session is as good as before."""

_ENDED = frozenset({596, 10053, 10054, 10060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920})
_DENIED = re.compile(r"\b((?:VIEW|ALTER|KILL)[A-Z ]*(?:STATE|CONNECTION)) permission (?:was )?denied")


class RefusedError(Exception):
    """The server answered with an error that will be the same next time; the message is its first line."""

    def __init__(self, words: str, native: int | None) -> None:
        super().__init__(words)
        self.native = native

    @property
    def right(self) -> str | None:
        """The right that the server's own words ask for (`VIEW SERVER STATE`); None where they name none."""
        found = _DENIED.search(str(self))
        return found[1] if found else None


def is_refusal(native: int | None, sqlstate: str) -> bool:
    """Whether an error of this number is an answer, and not the end of the session or a timeout."""
    if not native or native in _ENDED or native in SLOW:
        return False
    return not sqlstate.startswith(("08", "HYT", "IMC"))


def milliseconds(moment: str) -> str:
    """T-SQL for a time as milliseconds of its own clock since 2000; NULL for what is NULL or older."""
    seconds = f"CAST(DATEDIFF(SECOND, '2000-01-01', {moment}) AS BIGINT)"
    return f"CASE WHEN {moment} >= '2000-01-01' THEN {seconds} * 1000 + DATEPART(MILLISECOND, {moment}) END"


def quote(name: str | None) -> str:
    """A name in brackets, or `<login>` where it is not known."""
    return f"[{name.replace(']', ']]')}]" if name else "<login>"


def one_line(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters: white space is one blank, and no control character is left."""
    text = " ".join(text.split())
    if not text[:most].isprintable():
        text = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text[:most])
    return text if len(text) <= most else text[: most - 1] + "…"


def first_line(text: str) -> str:
    """The first line of what a server or driver says that says something."""
    return one_line(next((line for line in text.splitlines() if line.strip()), ""), 300)


def first_sentence(text: str) -> str:
    """Its first sentence: servers that only speak like SQL Server go on with lists of what they have."""
    return re.split(r"\.(?=\s+[A-Z])", first_line(text), maxsplit=1)[0]


def number(value: Any) -> int | None:
    """A number that came as one, or as text."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
