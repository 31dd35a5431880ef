"""Percent-encoding, strictly: what is not valid is an error, since a guess would put half a password somewhere else."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from dbdoctor.errors import UsageError

_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"


def decode(text: str, *, plus: bool = False) -> str:
    """`text` with `%XX` decoded as UTF-8, and with `plus` every `+` as a blank. Raises UsageError, quoting nothing."""
    if "%" in text and re.search(_BAD_ESCAPE, text):
        raise UsageError(
            "the URL has a `%` that is not followed by two hexadecimal digits",
            help="write a `%` that is meant as itself as `%25`",
        )
    if plus:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            "the URL has percent-encoded bytes that are not UTF-8",
            help="percent-encode the text's UTF-8 bytes: an `é` is `%C3%A9`",
        ) from None
    if "\0" in decoded:
        raise UsageError("the URL has `%00` in it, which no database name, user or password can hold")
    return decoded
