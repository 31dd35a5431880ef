"""A plot as inline SVG, once for wide pages and once for phones, with its figures as a table beneath it.

Who cannot see the plot has its title, what it says in a sentence, and the table. No colour carries a meaning alone: lines
have letters, dashes and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dbdoctor.render.report.html import Child, Markup, el, join
from dbdoctor.render.report.scale import Scale


class Canvas(NamedTuple):
    """The room for a plot, in pixels: the whole, and the margins around what is drawn."""

    width: float
    height: float
    left: float = 48
    right: float = 24
    top: float = 28
    bottom: float = 40

    @property
    def x_end(self) -> float:
        """Where the drawing ends at the right."""
        return self.width - self.right

    @property
    def y_end(self) -> float:
        """Where the drawing ends at the bottom."""
        return self.height - self.bottom

    @property
    def is_narrow(self) -> bool:
        """Whether this is the one for phones."""
        return self.width < 500


WIDE, NARROW = Canvas(760, 300), Canvas(340, 260, left=40, right=18)


class Table(NamedTuple):
    """The figures behind a plot: a head, and rows whose first cell names the row (a single one adds to the row above)."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Child]]


def figure(
    key: str, title: str, says: str, draw: Callable[[Canvas], Child], table: Table, *,
    key_to: Child = None, canvases: tuple[Canvas, Canvas] = (WIDE, NARROW),
) -> Markup:  # fmt: skip
    """The plot in both widths, its legend, and its table; `says` is the plot in a sentence, for who cannot see it."""
    return el(
        "figure",
        el("figcaption", title),
        *(
            _svg(f"{key}-{kind}", kind, title, says, draw, canvas)
            for kind, canvas in zip(("wide", "narrow"), canvases, strict=True)
        ),
        key_to,
        figures(table),
    )


def figures(table: Table) -> Markup:
    """The table, folded away until somebody wants it."""
    return el("details", el("summary", f"The figures: {table.caption}"), table_of(table), class_="figures")


def table_of(table: Table, *, kind: str | None = None) -> Markup:
    """A table with its heads named as such, in a box of its own that scrolls where it is too wide."""
    first = table.rows[0] if table.rows else ()
    right = [isinstance(cell, Markup) and cell.startswith('<td class="number"') for cell in first]
    numbers = [*right, *(False for _ in range(len(table.head) - len(right)))]
    columns = zip(table.head, numbers, strict=True)
    head = el("tr", [el("th", one, scope="col", class_="number" if right else None) for one, right in columns])
    rows = [_row(row, len(table.head)) for row in table.rows]
    whole = el("table", el("caption", table.caption), el("thead", head), el("tbody", rows), class_=kind)
    return el("div", whole, class_="scroll", tabindex="0", role="region", aria_label=table.caption)


def _row(cells: Sequence[Child], columns: int) -> Markup:
    """A row; one with a single cell belongs to the row above it, and is as wide as the table."""
    if len(cells) == 1 < columns:
        return el("tr", el("td", el("div", *cells), colspan=columns, class_="beneath"))
    return el("tr", [_cell(cell, number == 0) for number, cell in enumerate(cells)])


def _cell(cell: Child, first: bool) -> Markup:  # noqa: FBT001
    if isinstance(cell, Markup) and cell.startswith(("<td", "<th")):
        return cell
    return el("th", cell, scope="row") if first else el("td", cell)


def _svg(key: str, kind: str, title: str, says: str, draw: Callable[[Canvas], Child], canvas: Canvas) -> Markup:
    return el(
        "svg",
        el("title", title, id=f"{key}-title"),
        el("desc", says, id=f"{key}-desc"),
        draw(canvas),
        viewBox=f"0 0 {canvas.width:g} {canvas.height:g}",
        class_=f"plot {kind}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def legend(entries: Iterable[tuple[str, Child]]) -> Markup:
    """The lines' samples, each with its letter and what it is; the first has the first colour."""
    found = []
    for position, (letter, what) in enumerate(entries):
        stroke = el("line", x1=0, y1=6, x2=40, y2=6, class_=f"s{position + 1}")
        sample = el("svg", stroke, viewBox="0 0 40 12", aria_hidden="true")
        found.append(el("li", sample, el("b", letter), el("span", what)))
    return el("ul", found, class_="legend")


# Pieces of a plot


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str | None = None) -> Markup:
    """Words at a place."""
    return el("text", words, x=x, y=y, text_anchor=anchor, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A filled box; nothing is drawn of one without extent."""
    return el("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=kind)


def y_axis(canvas: Canvas, y: Scale, marks: Iterable[tuple[float, str]], title: str) -> Markup:
    """Horizontal lines with their numbers, and the axis' name above them."""
    drawn = [
        (line(canvas.left, y.at(value), canvas.x_end, y.at(value), "grid"),
         text(canvas.left - 6, y.at(value) + 4, words, anchor="end"))
        for value, words in marks
    ]  # fmt: skip
    return join(drawn, text(2, 12, title, kind="axis"))


def x_axis(canvas: Canvas, x: Scale, marks: Iterable[tuple[float, str]], title: str) -> Markup:
    """Ticks with their numbers beneath, and the axis' name beneath them."""
    drawn = [
        (line(x.at(value), canvas.y_end, x.at(value), canvas.y_end + 5, "tick"),
         text(x.at(value), canvas.y_end + 18, words, anchor="middle"))
        for value, words in marks
    ]  # fmt: skip
    base = line(canvas.left, canvas.y_end, canvas.x_end, canvas.y_end, "tick")
    return join(base, drawn, text(canvas.x_end, canvas.height - 6, title, anchor="end", kind="axis"))


def path(points: Iterable[tuple[float, float]], kind: str, *, closed: bool = False) -> Markup:
    """A line through the points."""
    steps = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
    return el("path", d=f"{steps}{' Z' if closed else ''}", class_=kind) if steps else Markup()
