"""The groups as a table, the same in the text and on the screen: who, how many, doing what, since when, growing how fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.leaks import GroupReport, Verdict
from dbdoctor.render.cells import plain, spark
from dbdoctor.render.columns import LUXURY, Column, Table, lay_out
from dbdoctor.render.leaks_words import VERDICT_COLOUR, WORD, age, growth, growth_range

NO_NAME = "(no name)"
_HISTORY = 16
_COLUMNS = (
    Column("verdict", "verdict"),
    Column("application", "application", good=16, least=10),
    Column("account", "user@database", good=14, least=8, luxury=2),
    Column("client", "client", good=13, least=9, luxury=3),
    Column("process", "pid", right=True, luxury=6, gap=1),
    Column("sessions", "all", right=True),
    Column("active", "act", right=True, luxury=LUXURY, gap=1),
    Column("idle", "idle", right=True, luxury=7, gap=1),
    Column("in_transaction", "in tx", right=True, gap=1),
    Column("hidden", "hidden", right=True, luxury=LUXURY + 4, gap=1),
    Column("oldest", "oldest", right=True, luxury=1, gap=1),
    Column("longest_idle", "idle for", right=True, luxury=LUXURY + 2),
    Column("growth", "/min", right=True, luxury=LUXURY, gap=1),
    Column("range", "range", luxury=LUXURY + 3),
    Column("history", "history", luxury=LUXURY + 1),
)
# The screen has no line of its own for them.
_ON_SCREEN = {"history": 5, "growth": 4}
# What is the same for all groups is said once, above the table.
_ONCE = {"account": "as", "client": "from"}


class Span(NamedTuple):
    """A piece of a line and how it is painted; colour only repeats what a word says."""

    text: str
    colour: str | None = None
    bold: bool = False


class GroupTable:
    """The table of the first `shown` groups, in so much `room`.

    `history` is how many columns their history takes on the screen, where it is no luxury; None in the text, where bad
    groups have a line for it.
    """

    def __init__(
        self,
        groups: Sequence[GroupReport],
        shown: int,
        room: int,
        *,
        unicode: bool = True,
        history: int | None = None,
    ) -> None:
        self._groups = groups[:shown]
        self._unicode = unicode
        once = _said_once(groups)
        self.shared = ", ".join(f"{_ONCE[name]} {_shown(parts, unicode)}" for name, parts in once.items())
        columns = [_for_screen(column) if history else column for column in _COLUMNS if column.name not in once]
        self._cells = [[self._cell(group, column.name, history) for column in columns] for group in self._groups]
        self.table: Table = lay_out(columns, self._cells, room, unicode=unicode)
        self.head = "".join(self.table.line([column.title for column in columns])).rstrip()

    def rows(self) -> list[tuple[GroupReport, list[Span]]]:
        """Each group with its line."""
        return [(group, self._spans(group, cells)) for group, cells in zip(self._groups, self._cells, strict=True)]

    def _spans(self, group: GroupReport, cells: Sequence[str]) -> list[Span]:
        verdict, application, *rest = self.table.line(cells)
        bad = group.verdict is not Verdict.OK
        word = verdict.rstrip()
        return [
            Span(word, VERDICT_COLOUR[group.verdict], bold=bad),
            Span(verdict[len(word) :]),
            Span(application, bold=bad),
            Span("".join(rest).rstrip()),
        ]

    def _cell(self, group: GroupReport, name: str, history: int | None) -> str:
        if name in {"active", "idle", "in_transaction"}:
            return _known(group, name)
        if name == "history":
            moves = len(group.counts) > 1
            return spark(group.counts, history or _HISTORY, unicode=self._unicode) if moves else ""
        if name in {"application", "account", "client"}:
            return _shown(_who(group, name), self._unicode)
        return _figures(group, name)


def _for_screen(column: Column) -> Column:
    return column._replace(luxury=_ON_SCREEN.get(column.name, column.luxury))


def _figures(group: GroupReport, name: str) -> str:
    if name == "verdict":
        return WORD[group.verdict]
    if name == "process":
        return str(group.key.process) if group.key.process else ""
    if name == "sessions":
        return str(group.sessions)
    if name == "hidden":
        return str(group.hidden) if group.hidden else ""
    if name == "oldest":
        return age(group.oldest_transaction)
    if name == "longest_idle":
        return age(group.longest_idle)
    return growth(group.trend) if name == "growth" else growth_range(group.trend)


def _known(group: GroupReport, name: str) -> str:
    """How many do this; `?` when all of them hide it."""
    if group.hidden and group.hidden >= group.sessions:
        return "?"
    return str({"active": group.active, "idle": group.idle, "in_transaction": group.idle_in_transaction}[name])


def _who(group: GroupReport, name: str) -> tuple[str, ...]:
    """The parts of a name, as the client gave them."""
    key = group.key
    if name == "application":
        return (key.application or NO_NAME,)
    parts = (key.client,) if name == "client" else (key.user, key.database)
    return tuple(part for part in parts if part)


def _shown(parts: Sequence[str], unicode: bool) -> str:  # noqa: FBT001
    return "@".join(plain(part, unicode=unicode) for part in parts) or "-"


def _said_once(groups: Sequence[GroupReport]) -> dict[str, tuple[str, ...]]:
    """What two groups or more have in common."""
    result = {}
    if len(groups) > 1:
        for name in _ONCE:
            first = _who(groups[0], name)
            if first and all(_who(group, name) == first for group in groups):
                result[name] = first
    return result
