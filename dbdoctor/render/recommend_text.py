"""`recommend` for people: what to paste, why, what it will do, what it costs on the server, and what is wrong now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dbdoctor.model.advice import Advice, WhatIf
from dbdoctor.model.demand import Demand, Source
from dbdoctor.model.duration import format_duration
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Because, Budget, Prediction, Recommendation, WaitTarget
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.finding import by_severity, finding_lines, skipped_lines
from dbdoctor.render.recommend_code import engine_lines
from dbdoctor.render.recommend_numbers import number_lines
from dbdoctor.render.recommend_sweep import sweep_lines
from dbdoctor.render.style import Style

_BY_ALTER_SYSTEM = ("idle_session_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle")
_NONE = 5e-5  # seconds: what is shorter is shown as none


def advice_lines(advice: Advice, style: Style, *, sweep: bool = False, numbers: bool = False) -> Iterator[str]:
    """The whole report."""
    found = advice.recommendation
    yield from _head(advice, style)
    yield ""
    yield from _settings(found, style)
    yield from _server_settings(found, style)
    yield from _predicted(found, style)
    yield from _budget(found.budget, style)
    yield from _compared(found, advice.arguments, style)
    yield from _what_ifs(advice.what_ifs, style)
    if sweep:
        yield from sweep_lines(advice, style)
    if numbers:
        yield from number_lines(advice, style)
    yield from _notes(advice, style)
    for skipped in advice.skipped:
        yield ""
        yield from skipped_lines(skipped, style)
    for finding in by_severity(advice.findings):
        yield ""
        yield from finding_lines(finding, style)
    yield ""
    yield fill(_summary(advice), style.width, "  ", "")


def _head(advice: Advice, style: Style) -> Iterator[str]:
    found = advice.recommendation
    if advice.target:
        yield clean(advice.target, 200)
    if advice.server:
        yield f"  {clean(advice.server)}"
    yield fill(f"demand: {demand_words(found.demand)}", style.width, "    ", "  ")
    yield fill(f"that is worth: {found.demand.source.worth}", style.width, "    ", "  ")
    if found.saturated:
        yield fill(clean(found.saturated, 600), style.width, "    ", style.severity("warning", "  saturated: "))


def demand_words(demand: Demand) -> str:
    """What is known, in a sentence: of one process, where there are several."""
    if demand.source is Source.NOTHING:
        return "nothing is known"
    each = " in each process" if demand.processes > 1 else ""
    parts = []
    if demand.source is Source.TRACE:
        many = f"{demand.processes} processes" if demand.processes > 1 else "one process"
        parts.append(f"a trace of {demand.checkouts:,} checkouts by {many} over {format_duration(demand.span)}")
    elif demand.source is Source.SAMPLES:
        parts.append(f"sessions sampled for {format_duration(demand.span)}, {demand.processes} processes seen")
    if demand.rate is not None and demand.use is not None:
        parts.append(f"{demand.rate:.3g} checkouts a second{each} of {format_duration(demand.use)} each")
    if demand.load is not None:
        parts.append(f"{demand.load:.2g} connections in use on average")
    if demand.most_at_once is not None:
        parts.append(f"{demand.most_at_once} at most")
    return ", ".join(parts)


def _settings(found: Recommendation, style: Style) -> Iterator[str]:
    """The code, and then a reason for each line of it."""
    if found.current_is_fine:
        yield style.paint("the current settings are fine: nothing to change", "green", bold=True)
    else:
        settings = {name: value for name, value in found.settings.items() if name != "connect_args"}
        for line in engine_lines(settings, found.settings.get("connect_args") or {}):
            yield style.paint(line, "green")
    yield ""
    for one in found.because:
        yield from _reason(one, style)


def _reason(one: Because, style: Style) -> Iterator[str]:
    name = one.setting if isinstance(one.value, dict) else f"{one.setting} = {value_words(one.value)}"
    text = fill(f"{name}: {clean(one.reason, 800)}", style.width, "      ", "  ")
    yield text.replace(name, style.paint(name, bold=True), 1)


def value_words(value: Any) -> str:
    """A setting's value as it stands in Python."""
    return "not stated" if value is None else str(value) if not isinstance(value, float) else f"{value:g}"


def _server_settings(found: Recommendation, style: Style) -> Iterator[str]:
    if not found.server_settings:
        return
    yield ""
    yield _title("on the server", style)
    for one in found.server_settings:
        yield from _reason(one, style)
    changed = [one for one in found.server_settings if one.changes and one.setting in _BY_ALTER_SYSTEM]
    for one in changed:
        yield style.paint(f"      ALTER SYSTEM SET {one.setting} = '{one.value}';", "green")
    if changed:
        yield style.paint("      SELECT pg_reload_conf();", "green")


def _predicted(found: Recommendation, style: Style) -> Iterator[str]:
    if found.prediction is None:
        if found.size_range is not None and found.connections is not None:
            yield ""
            low, high = (round(end) for end in found.size_range)
            text = f"{low} to {high} connections in a process could be right; {found.connections} are recommended"
            yield fill(text, style.width, "    ", "  ")
        return
    yield ""
    yield _title("predicted", style)
    for text in _prediction_words(found.prediction, found):
        yield fill(text, style.width, "      ", "  ")


def _prediction_words(one: Prediction, found: Recommendation) -> Iterator[str]:
    point = one.point
    longest = " to ".join(dict.fromkeys((_time(one.longest.least), _time(one.longest.most))))
    waits = [f"{share}% {_get(wait)}" for share, wait in ((50, point.p50), (95, point.p95)) if wait > 5e-5]
    waits.append(f"99% {_get(point.p99)}{_certain(one)}")
    if point.share > 0:
        yield f"{point.share:.2%} of the checkouts wait for a connection: {', '.join(waits)}; the longest {longest}"
    else:
        yield "nobody waits for a connection"
    yield (
        f"{point.utilisation:.0%} of the pool is in use on average; {one.timeouts} checkouts give up; "
        f"{one.connects_per_second:.2g} new connections a second ({one.connects_share:.2%} of the checkouts pay for one)"
    )
    if found.size_range is not None:
        low, high = (round(end) for end in found.size_range)
        span = f"{low}" if low == high else f"{low} to {high}"
        yield f"another recording of the same demand would have asked for {span} connections (5 to 95%)"
    other = [one for one in found.cross_checks if not one.agrees]
    if other:
        said = ", ".join(f"{one.name} {one.size}" for one in other)
        yield f"closed formulas disagree, which know nothing of bursts: {said}"


def _get(wait: float) -> str:
    return f"get one within {_time(wait)}" if wait > _NONE else "get one at once"


def _certain(one: Prediction) -> str:
    low, high = one.p99_range
    return "" if high <= _NONE else f" (with 90% certainty within {_time(low)} to {_time(high)})"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "without end"
    return "0 ms" if seconds < _NONE else format_duration(seconds)


def _budget(budget: Budget | None, style: Style) -> Iterator[str]:
    if budget is None:
        return
    yield ""
    yield _title("connections, at the height of a rollout", style)
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


def _compared(found: Recommendation, arguments: Mapping[str, Any], style: Style) -> Iterator[str]:
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
            (one.setting, value_words(_now(found.current, one.setting)), value_words(one.value),
             "change" if one.changes else "keep")
        )  # fmt: skip
    yield ""
    yield _title("now and then", style)
    table = lay_out(columns, rows, style.width - 2, unicode=style.unicode)
    yield "  " + "".join(table.line([column.title for column in columns])).rstrip()
    for row in rows:
        yield "  " + "".join(table.line(row)).rstrip()
    before = found.current_prediction
    if before is not None and not found.current_is_fine:
        yield fill(f"as it is now, {_short(before)}", style.width, "      ", "  ")


def _row(name: str, now: Any, then: Any) -> tuple[str, str, str, str]:
    return name, value_words(now), value_words(then), "keep" if now == then else "change"


def _short(one: Prediction) -> str:
    return f"99% {_get(one.point.p99)}, {one.timeouts} give up, {one.connects_per_second:.2g} new connections a second"


def _now(current: PoolSettings, setting: str) -> Any:
    return current.pool_class if setting == "poolclass" else getattr(current, setting, None)


def _what_ifs(what_ifs: Sequence[WhatIf], style: Style) -> Iterator[str]:
    if not what_ifs:
        return
    yield ""
    yield _title("what if", style)
    for one in what_ifs:
        name = ", ".join(f"{key}={change_words(value)}" for key, value in one.changes.items())
        text = fill(f"{name}: {_answer(one)}", style.width, "      ", "  ")
        yield text.replace(name, style.paint(name, bold=True), 1)


def change_words(value: Any) -> str:
    """A changed figure as it was typed, or nearly so."""
    if isinstance(value, WaitTarget):
        return f"p{value.share * 100:g}={format_duration(value.wait)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _answer(one: WhatIf) -> str:
    shown = ", ".join(
        f"{name} {value_words(one.settings[name])}" for name in ("pool_size", "max_overflow") if name in one.settings
    )
    parts = [shown or "NullPool"]
    if one.prediction is not None:
        parts.append(_short(one.prediction))
    if one.budget is not None:
        known = not one.budget.usable_working.startswith("no limit")
        fits = f" of {one.budget.usable}: {'fits' if one.budget.feasible else 'does not fit'}" if known else ""
        parts.append(f"{one.budget.total} connections{fits}")
    if one.note:
        parts[-1] += f" ({clean(one.note)})"
    return "; ".join(parts)


def _notes(advice: Advice, style: Style) -> Iterator[str]:
    found = advice.recommendation
    notes = [text for text in (*found.notes, *advice.notes) if text != found.demand.source.worth]
    if notes or found.incomplete:
        yield ""
    for text in dict.fromkeys(notes):
        yield fill(f"note: {clean(text, 800)}", style.width, "      ", "  ")
    for text in found.incomplete:
        if found.budget is None or text not in found.budget.give_up:
            yield fill(f"not met: {clean(text, 800)}", style.width, "      ", "  ")


def _title(text: str, style: Style) -> str:
    return style.paint(text, bold=True)


def _summary(advice: Advice) -> str:
    found = advice.recommendation
    changes = [one.setting for one in found.because if one.changes]
    if found.current_is_fine:
        what = "nothing to change"
    elif found.current is None:
        what = f"{len(found.because)} settings recommended"
    else:
        what = f"{len(changes)} of {len(found.because)} settings to change: {', '.join(changes)}"
    source = {
        Source.TRACE: "from a trace",
        Source.SAMPLES: "from samples",
        Source.STATED: "from stated figures",
        Source.NOTHING: "by a rule of thumb",
    }[found.demand.source]
    return f"{what}; {source}"
