"""A statement's text without the passwords in it: `ALTER ROLE app PASSWORD '...'`, a connection string, a URL; pure."""

from __future__ import annotations

import re

from dbdoctor.model.secret import MASK

_MOST = 20_000
# Of a statement that was cut, the last text has no end.
_TEXT = (
    r"(?:(?<!\w)[eEnN]'(?:[^'\\]|''|\\.)*(?:'|$)|'(?:[^']|'')*(?:'|$)|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?:(?P=tag)|$))"
)
_WORD = r"(?:password|passwd|passphrase|sslpassword|pwd|secret|token|api_?key)"
# `PASSWORD 'x'`, as roles and user mappings have it, with `"` around an option's name or a sign between.
_OPTION = re.compile(
    rf"""({_WORD}"?(?:\s{{0,20}}(?:=>|:=|=)\s{{0,20}}|\s{{1,20}})){_TEXT}""", re.IGNORECASE | re.DOTALL
)
# `password=x`, as in a connection string, which may itself stand in quotes and so have its own doubled. `$1` is no value.
_PAIR = re.compile(
    rf"""({_WORD}\s{{0,20}}=(?!>)\s{{0,20}})(?:''[^']{{0,500}}(?:''|$)|\\'[^']{{0,500}}(?:\\'|$)|(?!\$\d)[^\s'"),;&]{{1,500}})""",
    re.IGNORECASE,
)
_URL = re.compile(r"(://[^:/@\s']{0,200}:)[^@\s']{0,500}(?=@)")


def without_passwords(statement: str) -> str:
    """`statement` with every password that says it is one masked.

    What a value means can only be told from the words before it: a secret in a column that has no such name stays.
    Of a statement longer than anybody is shown, the beginning.
    """
    # Within a text first: a connection string's own quotes are doubled, and would end at a wrong one afterwards.
    text = _PAIR.sub(rf"\1{MASK}", _URL.sub(rf"\1{MASK}", statement[:_MOST]))
    return _OPTION.sub(rf"\1'{MASK}'", text)
