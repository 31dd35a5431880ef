"""libpq's `host=db1 dbname=shop password='a b'`.

Source: conninfo_parse of libpq's fe-connect.c, compared with libpq by a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.shared.collect import Collector, Driver
from dbdoctor.targets.libpq.options import to_target

NAME = "libpq key=value string"

_DRIVER = Driver(None, takes_libpq=True)
_SPACE = " \t\n\r\f\v"
_NAME = re.compile(r"[ \t\n\r\f\v]*([^=\s]+)[ \t\n\r\f\v]*=[ \t\n\r\f\v]*")
_PLAIN = re.compile(r"(?:[^\\ \t\n\r\f\v]|\\.)*\\?", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^\\']|\\.)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def recognises(text: str) -> bool:
    """Whether this is at least one `name=value`; the dialects with `;` were asked before."""
    return re.match(r"\s*[A-Za-z_][\w. -]*=", text) is not None


def read(text: str) -> Target:
    """The Target that this string names. Raises UsageError."""
    return target_of(text, NAME)


def target_of(text: str, dialect: str) -> Target:
    """The Target, said to be written in `dialect`. Raises UsageError."""
    collector = Collector(_DRIVER)
    for name, value in read_pairs(text):
        collector.take(name, value)
    base = Target(Product.POSTGRESQL, (), dialect=dialect, warnings=tuple(collector.warnings))
    return to_target(collector.options, base)


def read_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each name and value, decoded, as libpq takes them apart. Raises UsageError, which quotes nothing."""
    at = 0
    while text[at:].strip(_SPACE):
        name = _NAME.match(text, at)
        if name is None:
            raise UsageError(
                "the connection string is not a list of `name=value`",
                help="put a value with a blank in it in single quotes, `password='two words'`, and in it write `\\'` and `\\\\`",
            )
        quoted = text[name.end() : name.end() + 1] == "'"
        value = (_QUOTED if quoted else _PLAIN).match(text, name.end())
        if value is None:
            raise UsageError(
                "the connection string has a single quote that is not closed",
                help="inside a quoted value write `\\'` for a quote and `\\\\` for a backslash",
            )
        yield name[1], _ESCAPE.sub(r"\1", value[1] if quoted else value[0])
        at = value.end()
