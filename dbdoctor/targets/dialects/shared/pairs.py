"""`name=value;name=value` lists, in the quoting of ODBC and JDBC (braces) and of ADO.NET (quotes)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbdoctor.errors import UsageError

_NAME = re.compile(r"[\s;]*([^=;{}'\"]+?)\s*=\s*")
_BRACED = re.compile(r"\{((?:[^}]|\}\})*)\}\s*(?=;|\Z)")
_QUOTED = re.compile(r"\"((?:[^\"]|\"\")*)\"\s*(?=;|\Z)|'((?:[^']|'')*)'\s*(?=;|\Z)")
_PLAIN = re.compile(r"[^;]*")
_INSIDE = re.compile(r"\{(?:[^}]|\}\})*\}|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"]|\"\")*\"")


def braced_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each name and value of an ODBC string, or of the properties of a JDBC URL for SQL Server. Raises UsageError."""
    return _pairs(text, "{", _BRACED, "put it in braces, and write a `}` in it twice: `PWD={a;b}}c}`")


def quoted_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each name and value of an ADO.NET string. Raises UsageError."""
    return _pairs(text, "'\"", _QUOTED, 'put it in double quotes, and write a `"` in it twice: `Password="a;b""c"`')


def has_semicolon(text: str) -> bool:
    """Whether a `;` stands outside of quotes and braces."""
    return ";" in _INSIDE.sub("", text)


def first_name(text: str) -> str:
    """What stands before the first `=`."""
    return text.partition("=")[0].strip()


def _pairs(text: str, openers: str, quoted: re.Pattern[str], advice: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip(" \t;"):
        name = _NAME.match(text, at)
        if name is None:
            raise UsageError(
                "the connection string is not a list of `name=value` with `;` between them",
                help=f"where a value has a `;` in it, {advice}",
            )
        opener = text[name.end() : name.end() + 1]
        in_quotes = opener != "" and opener in openers
        value = (quoted if in_quotes else _PLAIN).match(text, name.end())
        if value is None:
            raise UsageError(
                "the connection string has a quoted value that is not closed, or that goes on after its end",
                help=advice,
            )
        yield name[1], _unquoted(value, opener) if in_quotes else value[0].strip()
        at = value.end()


def _unquoted(value: re.Match[str], opener: str) -> str:
    inner = next(group for group in value.groups() if group is not None)
    closer = "}" if opener == "{" else opener
    return inner.replace(closer * 2, closer)
