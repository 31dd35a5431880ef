"""The catalogue of failures: each code with its title, meaning and fix. One file a field; adding a failure is one entry.

Texts are templates over the values of a `Failure` ({host}, {port}, {user}, {database}, {seconds} ...); a value that is
not there shows as `?`. `explain` prints the same entry as a page, with the values left as words in angle brackets.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from dbdoctor.model.finding import Finding, Page, Severity
from dbdoctor.model.stage import Failure
from dbdoctor.model.target import Product
from dbdoctor.probe.failures.entry import Entry

# Read by name so that a code costs the import of one small file only.
FIELDS = (
    "network",
    "protocol",
    "tls",
    "login",
    "capacity",
    "availability",
    "pooler",
    "client",
    "odbc",
    "odbc_login",
    "sqlserver_login",
    "sqlserver_azure",
    "sqlserver_way",
)
# What the codes above are called on another product than PostgreSQL: `words_<product>`, and the product's name.
_WORDS_OF = {"sqlserver": "SQL Server"}


# Written for people; a program finds the figure under `waited_seconds`, and the rest in keys of its own.
_WORDS_ONLY = frozenset({"rows", "seconds", "where", "reason"})


@functools.cache
def catalogue() -> Mapping[str, Entry]:
    """Every failure by its code."""
    entries: dict[str, Entry] = {}
    for field in FIELDS:
        module = importlib.import_module(f"dbdoctor.probe.failures.{field}")
        entries.update((entry.code, entry) for entry in module.ENTRIES)
    return entries


@functools.cache
def words_of(product: str) -> Mapping[str, Entry]:
    """Entries in the words of a product ("sqlserver"), by code; empty where it has none of its own."""
    if product not in _WORDS_OF:
        return {}
    module = importlib.import_module(f"dbdoctor.probe.failures.words_{product}")
    return {entry.code: entry for entry in module.ENTRIES}


def find(failure: Failure, *, severity: Severity = Severity.ERROR, product: Product = Product.POSTGRESQL) -> Finding:
    """The finding for a failure that happened: its entry's texts, in the product's words, with the failure's values in them."""
    entry = words_of(product.name.lower()).get(failure.code) or catalogue()[failure.code]
    values = _Values({key: value for key, value in failure.values.items() if value not in (None, "")})
    rows = [f"said: {failure.cause}"] if failure.cause else []
    rows += [str(row) for row in failure.values.get("rows", ())]  # type: ignore[attr-defined]
    evidence: dict[str, Any] = {key: value for key, value in failure.values.items() if key not in _WORDS_ONLY}
    evidence.update(stage=failure.stage.value, sqlstate=failure.sqlstate, said=failure.cause)
    return Finding(
        code=failure.code,
        severity=severity,
        title=entry.title.format_map(values),
        why=entry.means.format_map(values),
        fix=entry.fix.format_map(values),
        command=entry.command.format_map(_escaped(values)) if entry.command else None,
        evidence={key: value for key, value in evidence.items() if value is not None},
        rows=tuple(rows),
    )


def pages() -> dict[str, Page]:
    """The page of every failure; where products have words of their own, each with its own after PostgreSQL's."""
    return {code: _page([("", entry), *_other_words(code)]) for code, entry in catalogue().items()}


def _other_words(code: str) -> list[tuple[str, Entry]]:
    return [(name, entry) for product, name in _WORDS_OF.items() if (entry := words_of(product).get(code))]


def _page(entries: Sequence[tuple[str, Entry]]) -> Page:
    words = _Values({}, known_as="<{}>")
    first = entries[0][1]

    def text(part: str) -> str:
        said = [(name, _sentence(getattr(entry, part).format_map(words))) for name, entry in entries]
        unlike = [(name, one) for number, (name, one) in enumerate(said) if not number or one != said[0][1]]
        return "\n\n".join(f"On {name}: {one}" if name else one for name, one in unlike)

    commands = [(name, entry.command.format_map(words)) for name, entry in entries if entry.command]
    return Page(
        code=first.code,
        summary=first.title.format_map(words),
        means=text("means"),
        matters=text("matters"),
        do=text("fix"),
        example="\n".join(f"-- {name}\n{command}" if name else command for name, command in commands) or None,
    )


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def _escaped(values: _Values) -> _Values:
    """Values for SQL to paste: a quote in a role's name is doubled, so that the command means what it shows."""
    return _Values({k: v.replace("'", "''").replace('"', '""') if isinstance(v, str) else v for k, v in values.items()})


class _Values(dict[str, object]):
    """Values for a template; one that is missing shows as `?`, or as its own name in angle brackets on a page."""

    def __init__(self, values: Mapping[str, object], known_as: str = "?") -> None:
        super().__init__(values)
        self._known_as = known_as

    def __missing__(self, key: str) -> str:
        return self._known_as.format(key.replace("_", " "))
