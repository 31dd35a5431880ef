"""`recommend` for people: what to paste, why, what it will do, what it costs on the server, and what is wrong now."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.advice import Advice
from dbdoctor.model.demand import Demand, Source
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Because, Recommendation
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.finding import by_severity, finding_lines, skipped_lines
from dbdoctor.render.recommend_code import engine_lines
from dbdoctor.render.recommend_numbers import number_lines
from dbdoctor.render.recommend_predicted import predicted_lines, what_if_lines
from dbdoctor.render.recommend_sweep import sweep_lines
from dbdoctor.render.recommend_tables import budget_lines, compared_lines
from dbdoctor.render.recommend_verified import verified_lines
from dbdoctor.render.recommend_words import title, value_words
from dbdoctor.render.style import Style

_BY_ALTER_SYSTEM = ("idle_session_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle")


def advice_lines(advice: Advice, style: Style, *, sweep: bool = False, numbers: bool = False) -> Iterator[str]:
    """The whole report."""
    found = advice.recommendation
    yield from _head(advice, style)
    yield ""
    yield from _settings(found, style)
    yield from _server_settings(found, style)
    yield from predicted_lines(found, style)
    yield from budget_lines(found.budget, style)
    yield from compared_lines(found, advice.arguments, style)
    if advice.verified is not None:
        yield from verified_lines(advice.verified, style)
    yield from what_if_lines(advice.what_ifs, style)
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
    yield fill(summary_words(advice), style.width, "  ", "")


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


def _server_settings(found: Recommendation, style: Style) -> Iterator[str]:
    if not found.server_settings:
        return
    yield ""
    yield title("on the server", style)
    for one in found.server_settings:
        yield from _reason(one, style)
    changed = [one for one in found.server_settings if one.changes and one.setting in _BY_ALTER_SYSTEM]
    for one in changed:
        yield style.paint(f"      ALTER SYSTEM SET {one.setting} = '{one.value}';", "green")
    if changed:
        yield style.paint("      SELECT pg_reload_conf();", "green")
    for one in found.server_settings:
        if one.changes and one.setting == "max_connections":
            yield style.paint(
                f"      ALTER SYSTEM SET max_connections = {one.value};  -- and restart the server", "green"
            )


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


def summary_words(advice: Advice) -> str:
    """The last line: what is to change, and from what that is known."""
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
