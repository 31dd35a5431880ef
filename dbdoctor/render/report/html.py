"""Elements of HTML and SVG, made so that a text from outside can only ever be a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbdoctor.render.clean import clean, clean_lines

# Elements without an end.
_VOID = frozenset({"meta", "link", "br"})
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# Characters of one text, and of a command with all its lines.
_LONGEST, _LONGEST_COMMAND = 600, 20_000


class Markup(str):
    """A text that is HTML already; every other `str` is escaped."""

    __slots__ = ()


Child = str | Markup | None | Iterable["Child"]


def el(tag: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """`el("p", text, class_="quiet")`: texts are escaped, attributes without a value left out, `_` is written `-`."""
    head = f"<{tag}{''.join(_attributes(attributes))}>"
    return Markup(head if tag in _VOID else f"{head}{join(*children)}</{tag}>")


def join(*children: Child) -> Markup:
    """What stands one after the other."""
    return Markup("".join(_texts(children)))


def escape(text: str, most: int = _LONGEST) -> Markup:
    """A text on one line, with control and direction characters made visible, cut to `most` characters."""
    return Markup(clean(text, most).translate(_ESCAPES))


def lines(text: str) -> Markup:
    """A text of our own whose lines are meant, as in a command."""
    return Markup("\n".join(clean_lines(text[:_LONGEST_COMMAND])).translate(_ESCAPES))


def name(text: str | None, most: int = 120) -> Markup:
    """A name that others chose, kept from turning the direction of what is beside it."""
    return el("bdi", escape(text or "-", most))


def _texts(children: Iterable[Child]) -> Iterator[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        else:
            yield from _texts(child)


def _attributes(attributes: dict[str, str | float | bool | None]) -> Iterator[str]:
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {written}"
        elif isinstance(value, str):
            yield f' {written}="{value if isinstance(value, Markup) else escape(value, 20_000)}"'
        else:
            yield f' {written}="{value:.6g}"'
