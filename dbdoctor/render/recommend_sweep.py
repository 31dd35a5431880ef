"""`recommend --sweep`: every size around as a table, with a small plot of the waits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dbdoctor.model.advice import Advice, SweepRow
from dbdoctor.model.demand import Source
from dbdoctor.model.duration import format_duration
from dbdoctor.render.clean import fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.style import Style

_WIDEST = 40
_LEAST_BARS = 12
_MORE_BUSY = "more busy"  # of samples: the share of the moments in which more sessions than that were busy
_COLUMNS = (
    Column("mark", ""),
    Column("size", "size", right=True, gap=1),
    Column("p99", "99% wait", right=True),
    Column("mean", "mean wait", right=True, luxury=2),
    Column("waiting", "wait at all", right=True),
    Column("timeouts", "give up", right=True),
    Column("churn", "connects/s", right=True),
    Column("connections", "on server", right=True, luxury=1),
)


def sweep_lines(advice: Advice, style: Style) -> Iterator[str]:
    """The table, the recommended size marked with `>`, and beside each size its wait as a bar."""
    yield ""
    yield style.paint("every size around", bold=True)
    if not advice.sweep:
        no_pool = advice.recommendation.connections is None
        why = (
            "behind the pooler there is no pool" if no_pool else "nothing is known of the demand: all would look alike"
        )
        yield fill(why, style.width, "    ", "  ")
        return
    if advice.recommendation.demand.source is Source.STATED:
        yield "  in the busiest second, by Erlang C"
    rows = [_cells(row) for row in advice.sweep]
    is_sampled = advice.sweep[0].wait_p99 is None
    columns = [
        column._replace(title=_MORE_BUSY) if is_sampled and column.name == "waiting" else column for column in _COLUMNS
    ]
    table = lay_out(columns, rows, style.width - 2 - _LEAST_BARS, unicode=style.unicode)
    taken = sum(table.widths) + sum(column.gap for column in table.columns[1:])
    room = min(_WIDEST, style.width - taken - 4)
    bars = _bars(advice.sweep, room, unicode=style.unicode) if room >= _LEAST_BARS - 2 else [""] * len(rows)
    yield "  " + "".join(table.line([column.title for column in columns])).rstrip()
    for cells, bar, row in zip(rows, bars, advice.sweep, strict=True):
        text = ("  " + "".join(table.line(cells)) + "  " + bar).rstrip()
        yield style.paint(text, "green") if row.chosen else text
    if any(bars):
        yield (
            "  "
            + " " * taken
            + "  "
            + ("bars: 99% wait" if advice.sweep[0].wait_p99 is not None else "bars: wait at all")
        )


def _cells(row: SweepRow) -> tuple[str, ...]:
    return (
        ">" if row.chosen else " ",
        f"{row.pool_size}+{row.max_overflow}" if row.max_overflow else str(row.size),
        _time(row.wait_p99),
        _time(row.wait_mean),
        "" if row.waiting is None else f"{row.waiting:.1%}",
        "" if row.timeouts is None else f"{row.timeouts:,}",
        "" if row.connects_per_second is None else f"{row.connects_per_second:.2g}",
        f"{row.connections:,}",
    )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if not math.isfinite(seconds):
        return "no end"
    return "0 ms" if seconds < 5e-5 else format_duration(seconds)


def _bars(rows: Sequence[SweepRow], room: int, *, unicode: bool) -> list[str]:
    """Square roots, so that small waits beside a great one can be seen."""
    values = [row.waiting or 0.0 if row.wait_p99 is None else row.wait_p99 for row in rows]
    most = max((value for value in values if math.isfinite(value)), default=0.0)
    if most <= 0:
        return [""] * len(rows)
    letter = "█" if unicode else "#"
    return [letter * (room if not math.isfinite(one) else round(room * math.sqrt(one / most))) for one in values]
