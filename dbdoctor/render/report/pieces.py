"""What several sections are made of: their frame, a command to copy, what was not looked at, a list of names and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbdoctor.render.report.html import Child, Markup, el, join, lines


def section(key: str, title: str, *children: Child) -> Markup:
    """A section with its heading, which names it for a screen reader."""
    return el("section", el("h2", title, id=f"{key}-head"), *children, id=key, aria_labelledby=f"{key}-head")


def command(text: str, what: str) -> Markup:
    """Lines to paste, with a button that copies them; `what` tells the button from others of its kind."""
    button = el("button", "Copy", type="button", hidden=True, aria_label=f"Copy: {what}")
    code = el("pre", el("code", lines(text)), tabindex="0", role="region", aria_label=what)
    return el("div", button, code, class_="command")


def absent(why: tuple[str, str | None] | None) -> Markup:
    """Why there is nothing, and what would look."""
    reason, how = why or ("not looked at", None)
    return el(
        "div",
        el("p", f"{reason[:1].upper()}{reason[1:]}."),
        command(how, "the command that looks") if how else None,
        class_="absent",
    )


def pairs(rows: Iterable[tuple[str, Child]]) -> Markup:
    """Names and what they are."""
    return el("dl", [(el("dt", key), el("dd", value)) for key, value in rows])


def badge(kind: str, words: str) -> Markup:
    """A word that stands out."""
    return el("span", words, class_=f"badge {kind}")


def items(texts: Sequence[Child], most: int, what: str) -> Markup | None:
    """A list, cut at `most`; what is left out is counted."""
    if not texts:
        return None
    more = [el("li", f"and {len(texts) - most} {what} more", class_="quiet")] if len(texts) > most else []
    return el("ul", [el("li", one) for one in texts[:most]], more)


def number(value: Child) -> Markup:
    """A cell with a number."""
    return el("td", value, class_="number")


def paragraphs(texts: Iterable[str]) -> Markup:
    """Each as a paragraph."""
    return join(el("p", text) for text in texts)
