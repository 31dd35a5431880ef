"""A secret that never prints, and the redaction of texts that may hold one.

Drivers quote what they were given: libpq answers `missing "=" after "cret"` for a password with a space, and
`str(url)` of SQLAlchemy prints `?password=`. So every text that comes from outside passes through `redact`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"

# Every secret of this process, so that the last handler can clean a traceback whose values it knows nothing of.
_known: dict[str, None] = {}

# A shorter text is no use to a thief as a fragment, and as a whole would blot out half of a message.
_SHORTEST = 4
_SEPARATORS = r"[\s@:/?#%&;=,{}\[\]()'\"\\]+"


class Secret:
    """A text that shows itself as `***`; `reveal()` is the one visible act that gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """The text itself, to be handed to a driver and to nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: that would write it out in clear")


def remember(value: str) -> None:
    """Let `redact` mask this text from now on, wherever it turns up in this process."""
    if value:
        _known[value] = None


def redact(text: str, also: Iterable[str] = (), *, public: str = "") -> str:
    """`text` with every known secret masked: as it is, percent-encoded, escaped, and the fragments a parser may quote.

    A whole secret of four characters or more goes wherever it stands. A shorter one, and a fragment, goes only where it
    stands alone: the `word` of `p@ss/word` must not turn every `password` into `pass***`, which would tell of it.
    A secret that is part of `public` is left (the password `postgres` of the user postgres): where everybody reads the
    user's name, a mask in its place elsewhere would tell that the two are the same.
    """
    secrets = [one for one in sorted({*_known, *also}, key=len, reverse=True) if one not in public]
    # All of them whole, before the fragments of any: one secret's fragment may be part of another, as of its escaped form.
    for parts_of in (_wholes, _pieces):
        for secret in secrets:
            for part, pattern in parts_of(secret):
                if pattern is not None:
                    text = pattern.sub(MASK, text)
                elif part in text:
                    text = text.replace(part, MASK)
    return text


@functools.lru_cache(maxsize=256)
def _wholes(secret: str) -> tuple[tuple[str, re.Pattern[str] | None], ...]:
    """The secret in all its forms, the longest first; with a pattern for what must stand alone."""
    forms = [form for form in sorted(_forms(secret), key=len, reverse=True) if form]
    return tuple((form, None if len(form) >= _SHORTEST else _alone(form)) for form in forms)


@functools.lru_cache(maxsize=256)
def _pieces(secret: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Its fragments, the longest first, each of which must stand alone."""
    return tuple((fragment, _alone(fragment)) for fragment in sorted(_fragments(secret), key=len, reverse=True))


def _alone(part: str) -> re.Pattern[str]:
    r"""Matches `part` with no letter or digit beside it; an escape such as %40 or \\n before it is no letter."""
    return re.compile(rf"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{{2}}))({re.escape(part)})(?![^\W_])")


def _forms(secret: str) -> set[str]:
    return {
        secret,
        secret.strip(),
        quote(secret, safe="", errors="surrogatepass"),
        quote(secret, errors="surrogatepass"),
        quote_plus(secret, errors="surrogatepass"),
        secret.replace("\\", "\\\\").replace("'", "\\'"),
        secret.replace("}", "}}"),
        secret.replace("'", "''"),
        repr(secret)[1:-1],
    }


def _fragments(secret: str) -> set[str]:
    return {part for part in re.split(_SEPARATORS, secret) if len(part) >= _SHORTEST and part != secret}
