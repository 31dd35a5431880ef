"""A statement without the texts in it: what a customer is called is no evidence, and has no place in a ticket."""

from __future__ import annotations

import re

_MOST = 1000
# What may hide a literal, or look like one and be none, in the order in which a reader of SQL meets it. The statement is
# on one line, so nobody knows where a comment of `--` ends: from its first quote on all is masked. Unfinished ones go to
# the end, since a statement is cut; so does what a backslash before a quote makes doubtful.
_LITERAL = re.compile(
    r"""
      (?P<name>"(?:[^"]|"")*(?:"|$))
    | (?P<line>--[^']*)'.*$
    | (?P<comment>/\*.*?(?:\*/|$))
    | (?<!\w)[eE]'(?:[^'\\]|''|\\.)*(?:'|$)
    | '(?:[^'\\]|''|\\[^'])*(?:\\'.*$|'|$)
    | (\$\w*\$).*?(?:\4|$)
    """,
    re.DOTALL | re.VERBOSE,
)


def without_literals(statement: str) -> str:
    """The beginning of `statement` on one line, its texts masked as `'…'`; numbers and names stay."""
    return " ".join(_LITERAL.sub(_masked, statement[:_MOST]).split())


def _masked(found: re.Match[str]) -> str:
    if found["comment"]:
        return "/*…*/"
    return found["name"] or f"{found['line'] or ''}'…'"
