"""How the questions about PostgreSQL's sessions are sent, and how the bytes that come back are read; pure.

Every database has its own encoding, and a server shows texts of all of them to everybody: an application's name, a
role's, a statement cut in the middle of a letter. So the questions ask for the bytes as they are (`SQL_ASCII` as the
client's encoding converts nothing and checks nothing), and here they become texts in a way that cannot fail.
"""

from __future__ import annotations

import codecs
import re

# Several statements in one message are one implicit transaction: SET LOCAL holds for the question and leaves nothing
# behind in a session that a pooler gives to somebody else next. extra_float_digits: a role may have set it so low that
# times lose their microseconds, and sessions with them their identity.
_PRELUDE = """\
SET LOCAL search_path = pg_catalog;
SET LOCAL transaction_read_only = on;
SET LOCAL statement_timeout = {milliseconds};
SET LOCAL lock_timeout = {milliseconds};
SET LOCAL client_encoding = 'SQL_ASCII';
SET LOCAL extra_float_digits = 1;
"""

# What PostgreSQL calls an encoding, where Python's word for it cannot be had by a change of prefix (pg_wchar.h).
_CODECS = {"EUC_CN": "gb2312", "KOI8R": "koi8_r", "KOI8U": "koi8_u", "SJIS": "cp932", "UHC": "cp949"}


def message(question: str, seconds: float) -> str:
    """`question` with what must hold for it, as one simple-query message; the server gives up after `seconds`."""
    return _PRELUDE.format(milliseconds=max(1, round(seconds * 1000))) + question


def decode(raw: bytes | str | None, encoding: str | None = None) -> str | None:
    """The text of these bytes: UTF-8 if they can be that, else as a database of `encoding` means them. Never fails.

    A letter that was cut at the end is left out; what is a letter in neither encoding becomes U+FFFD.
    """
    if raw is None or isinstance(raw, str):
        return raw
    for codec in ("utf-8", _codec(encoding)):
        try:
            return codecs.getincrementaldecoder(codec)("strict").decode(raw)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("utf-8", errors="replace")


def one_line(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters: white space is one blank, and no control character is left."""
    text = " ".join(text.split())
    if len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def first_line(text: str) -> str:
    """The first line of a driver's or a server's words that says something, without libpq's SQLSTATE before it."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return one_line(re.sub(r"^\s*(?:[A-Z]+:\s+)?(?:[0-9A-Z]{5}: )?", "", line), 300)


def _codec(encoding: str | None) -> str:
    name = encoding or ""
    return _CODECS.get(name) or re.sub(r"^WIN(?=\d)", "cp", name) or "utf-8"
