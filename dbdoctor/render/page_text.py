"""`explain`: the page behind a code, and the list of all pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbdoctor.model.finding import Page
from dbdoctor.render.clean import clean_lines, fill
from dbdoctor.render.style import Style


def page_lines(page: Page, style: Style) -> Iterator[str]:
    """One page."""
    yield style.paint(page.code, bold=True)
    yield fill(page.summary, style.width, "  ")
    for heading, text in (("What it means", page.means), ("Why it matters", page.matters), ("What to do", page.do)):
        yield ""
        yield style.paint(heading, bold=True)
        yield from [*_paragraphs(text, style)][:-1]
    if page.example:
        yield ""
        for line in clean_lines(page.example):
            yield f"      {style.paint(line, 'green')}"


def list_lines(pages: Mapping[str, Page], style: Style) -> Iterator[str]:
    """Every code with its summary."""
    widest = max(len(code) for code in pages)
    for code in sorted(pages):
        head = f"{code:<{widest}}  "
        yield fill(pages[code].summary, style.width, " " * len(head), head).replace(
            code, style.paint(code, bold=True), 1
        )


def _paragraphs(text: str, style: Style) -> Iterator[str]:
    """Prose is wrapped; lines that are indented (commands) are left as they are; blank lines stay."""
    prose: list[str] = []
    for line in [*text.strip("\n").split("\n"), ""]:
        if line.strip() and not line.startswith((" ", "\t")):
            prose.append(line.strip())
            continue
        if prose:
            yield fill(" ".join(prose), style.width, "  ")
            prose = []
        yield f"    {line.rstrip()}" if line.strip() else ""
