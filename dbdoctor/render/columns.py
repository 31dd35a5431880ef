"""Aligned columns without lines around them: they are as wide as what they hold, and what does not fit is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.render.cells import fitted, width


class Column(NamedTuple):
    """A column: its title, and what becomes of it where there is little room.

    `good` is how narrow it may become while there are luxuries beside it, `least` how narrow at all; 0 is "never
    narrower". The one with the highest `luxury` goes first; 0 stays whatever happens.
    """

    name: str
    title: str
    right: bool = False
    good: int = 0
    least: int = 0
    luxury: int = 0
    gap: int = 2


# From this `luxury` on a column goes before any other becomes narrower than is good.
LUXURY = 10


class Table(NamedTuple):
    """What is shown of the columns: their positions among all, and how wide each is."""

    columns: tuple[Column, ...]
    positions: tuple[int, ...]
    widths: tuple[int, ...]
    unicode: bool

    def line(self, cells: Sequence[str]) -> list[str]:
        """What is shown of a row's cells, each as wide as its column, with the gap before it."""
        return [
            (" " * column.gap if place else "")
            + fitted(cells[position], columns, right=column.right, unicode=self.unicode)
            for place, (column, position, columns) in enumerate(
                zip(self.columns, self.positions, self.widths, strict=True)
            )
        ]

    def has(self, name: str) -> bool:
        """Whether the column of this name is shown."""
        return any(column.name == name for column in self.columns)


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int, *, unicode: bool = True) -> Table:
    """The table of these rows in `room` columns of a terminal. A column in which every cell is empty is not shown."""
    full = {}
    for position, column in enumerate(columns):
        widest = max((width(row[position]) for row in rows), default=0)
        if widest:
            full[position] = max(widest, len(column.title))
    kept = list(full)
    while True:
        shown = tuple(columns[position] for position in kept)
        widths = _narrowed(shown, [full[position] for position in kept], room)
        luxuries = [position for position in kept if columns[position].luxury]
        if widths is not None or not luxuries:
            return Table(shown, tuple(kept), tuple(widths or [full[position] for position in kept]), unicode)
        kept.remove(max(luxuries, key=lambda position: columns[position].luxury))


def _narrowed(columns: Sequence[Column], widths: list[int], room: int) -> list[int] | None:
    """The widths that fit, the widest column giving most; None when they cannot."""
    luxurious = any(column.luxury >= LUXURY for column in columns)
    floors = [
        min(full, (column.good if luxurious else column.least) or full)
        for column, full in zip(columns, widths, strict=True)
    ]
    room -= sum(column.gap for column in columns[1:])
    if sum(floors) > room:
        return None
    widths = list(widths)
    while sum(widths) > room:
        position = max(range(len(widths)), key=lambda i: widths[i] - floors[i])
        widths[position] -= 1
    return widths
