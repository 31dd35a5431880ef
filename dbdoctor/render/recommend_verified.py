"""What `recommend --verify` found: for people a table of predicted beside measured, for programs an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Range
from dbdoctor.model.verified import Verdict, Verified, Waits
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.json_values import cleaned, number, text_or_none
from dbdoctor.render.style import Style

_COLUMNS = (
    Column("settings", "settings"),
    Column("wait", "wait"),
    Column("predicted", "predicted", right=True),
    Column("measured", "measured", right=True),
    Column("range", "with 90% certainty"),
)
_OUTCOMES = {
    "survives": "no error", "one-error": "one request fails", "errors": "several requests fail", "hangs": "requests hang",
}  # fmt: skip


def verified_lines(found: Verified, style: Style) -> Iterator[str]:
    """The table, and a sentence on each pool."""
    yield ""
    yield style.paint("verified by running it", bold=True)
    does = "your statement" if found.statement else "a sleep in the server"
    by = f" by {found.processes} processes, each with a pool" if found.processes > 1 else ""
    text = f"{found.checkouts:,} checkouts{by} in {format_duration(found.seconds)}, each {does}, by an open loop"
    yield fill(text, style.width, "      ", "  ")
    rows = [row for one in found.verdicts for row in _rows(one)]
    if rows:
        table = lay_out(_COLUMNS, rows, style.width - 2, unicode=style.unicode)
        for row in ([column.title for column in _COLUMNS], *rows):
            yield "  " + "".join(table.line(row)).rstrip()
    for one in found.verdicts:
        yield fill(f"{one.pool.name}: {clean(_verdict_words(one), 800)}", style.width, "      ", "  ")
    for fault in found.faults:
        said = f"not tried: {fault.note}" if fault.outcome is None else _OUTCOMES[fault.outcome]
        text = f"{fault.pool}, after the path's idle timeout ({fault.fault}): {clean(said, 400)}"
        yield fill(text, style.width, "      ", "  ")
    for note in found.notes:
        yield fill(f"note: {clean(note, 400)}", style.width, "      ", "  ")
    if found.incomplete:
        yield fill(f"not all of it was run: {clean(found.incomplete)}", style.width, "      ", "  ")


def _rows(one: Verdict) -> Iterator[tuple[str, str, str, str, str]]:
    if one.void or one.measured is None or one.ranges is None:
        return
    names = ("mean", "p95", "p99")
    for name, said, did, span in zip(names, one.predicted[:3], one.measured[:3], one.ranges, strict=True):
        first = one.pool.name if name == "mean" else ""
        yield first, name, _time(said), _time(did), f"{_time(span.least)} to {_time(span.most)}"


def _verdict_words(one: Verdict) -> str:
    if one.void or one.measured is None:
        return f"the measurement is void: {one.void}"
    did, said = one.measured, one.predicted
    held = "the prediction held" if one.agrees else "the prediction did not hold"
    sized = f"pool_size {one.pool.pool_size}, max_overflow {one.pool.max_overflow}"
    shape = sized if one.pool.pool_class != "NullPool" else "NullPool"
    logins = "" if one.login is None else f" (of {format_duration(one.login)} each)"
    words = (
        f"{held} ({shape}); {did.timeouts} of {one.checkouts:,} checkouts gave up, predicted {said.timeouts}; "
        f"{did.connects} new connections{logins}, predicted {said.connects}; uses of {format_duration(one.use)} on average, and "
        f"a hundredth of the arrivals {_time(one.late)} late or more, this client's own doing"
    )
    return words + (f"; {one.errors} failed ({one.error})" if one.errors else "")


def _time(seconds: float) -> str:
    return "0 ms" if seconds < 5e-5 else format_duration(seconds)


def verified_object(found: Verified | None) -> dict[str, Any] | None:
    """For programs; durations are seconds."""
    if found is None:
        return None
    return {
        "window_seconds": number(found.seconds),
        "checkouts": found.checkouts,
        "process": text_or_none(found.process),
        "processes": found.processes,
        "statement": found.statement,
        "pools": [_pool(one) for one in found.verdicts],
        "faults": [cleaned(one._asdict()) for one in found.faults],
        "notes": cleaned(list(found.notes)),
        "incomplete": text_or_none(found.incomplete),
    }


def _pool(one: Verdict) -> dict[str, Any]:
    spans = one.ranges
    return {
        "settings": one.pool.name,
        "pool_class": one.pool.pool_class,
        "pool_size": one.pool.pool_size,
        "max_overflow": one.pool.max_overflow,
        "runs": one.runs,
        "checkouts": one.checkouts,
        "predicted": _waits(one.predicted),
        "measured": None if one.measured is None else _waits(one.measured),
        "measured_range": None
        if spans is None
        else {f"wait_{name}": _range(getattr(spans, name)) for name in ("mean", "p95", "p99")},
        "use_mean_seconds": number(one.use),
        "login_mean_seconds": number(one.login),
        "late_p99_seconds": number(one.late),
        "errors": one.errors,
        "error": text_or_none(one.error),
        "void": text_or_none(one.void),
        "agrees": one.agrees,
    }


def _waits(one: Waits) -> dict[str, Any]:
    return {
        "wait_mean_seconds": number(one.mean),
        "wait_p95_seconds": number(one.p95),
        "wait_p99_seconds": number(one.p99),
        "timeouts": one.timeouts,
        "connects": one.connects,
    }


def _range(span: Range) -> dict[str, Any]:
    return {"least_seconds": number(span.least), "most_seconds": number(span.most)}
