"""The tables of `recommend` for people: the connections of the fleet, and the current settings beside the recommended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Budget, Recommendation
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.recommend_words import short_words, title, value_words
from dbdoctor.render.style import Style


def budget_lines(budget: Budget | None, style: Style) -> Iterator[str]:
    """The table, its sum beside what is usable, and what to give up."""
    if budget is None:
        return
    yield ""
    yield title("connections, at the height of a rollout", style)
    columns = (
        Column("service", "service", least=8),
        Column("pools", "pools", right=True),
        Column("each", "each", right=True),
        Column("total", "total", right=True),
        Column("wanted", "wanted", right=True),
    )
    rows = [
        (clean(row.service), str(row.pools), str(row.each), str(row.total),
         str(row.wanted) if row.wanted != row.each else "", row.working)
        for row in budget.rows
    ]  # fmt: skip
    table = lay_out(columns, rows, style.width - 2, unicode=style.unicode)
    yield "  " + "".join(table.line([column.title for column in columns])).rstrip()
    for row in rows:
        yield "  " + "".join(table.line(row)).rstrip()
    for one in budget.rows:
        yield fill(f"{clean(one.service)}: {one.working}", style.width, "      ", "  ")
    if budget.usable_working.startswith("no limit"):
        yield fill(f"{budget.total} in all; {clean(budget.usable_working)}", style.width, "      ", "  ")
        return
    verdict = f"{budget.total} of {budget.usable} usable: " + (
        f"{budget.usable - budget.total} to spare"
        if budget.feasible
        else style.paint(f"{budget.total - budget.usable} too many", "red", bold=True)
    )
    yield f"  {verdict}"
    yield fill(f"usable {clean(budget.usable_working, 300)}", style.width, "      ", "  ")
    for text in budget.give_up:
        yield fill(f"to give up: {clean(text, 300)}", style.width, "      ", "  ")


def compared_lines(found: Recommendation, arguments: Mapping[str, Any], style: Style) -> Iterator[str]:
    """Now and then, line by line; only where something is known of now."""
    if found.current is None:
        return
    columns = (
        Column("setting", "setting"),
        Column("now", "now", least=8),
        Column("then", "then", least=8),
        Column("", ""),
    )
    rows = []
    for one in found.because:
        if isinstance(one.value, Mapping):
            rows += [_row(name, arguments.get(name), value) for name, value in one.value.items()]
            continue
        rows.append(
            (one.setting, value_words(now_of(found.current, one.setting)), value_words(one.value),
             "change" if one.changes else "keep")
        )  # fmt: skip
    yield ""
    yield title("now and then", style)
    table = lay_out(columns, rows, style.width - 2, unicode=style.unicode)
    yield "  " + "".join(table.line([column.title for column in columns])).rstrip()
    for row in rows:
        yield "  " + "".join(table.line(row)).rstrip()
    before = found.current_prediction
    if before is not None and not found.current_is_fine:
        yield fill(f"as it is now, {short_words(before)}", style.width, "      ", "  ")


def _row(name: str, now: Any, then: Any) -> tuple[str, str, str, str]:
    return name, value_words(now), value_words(then), "keep" if now == then else "change"


def now_of(current: PoolSettings, setting: str) -> Any:
    """What a setting is now; None where nothing is stated."""
    return current.pool_class if setting == "poolclass" else getattr(current, setting, None)
