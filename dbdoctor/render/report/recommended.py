"""The recommended settings beside the current ones, with the reasons, what they are predicted to do, and the fleet's budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbdoctor.model.advice import Advice
from dbdoctor.model.report import WholeReport
from dbdoctor.model.sizing import Because, Budget, Recommendation
from dbdoctor.render.recommend_code import code_lines
from dbdoctor.render.recommend_predicted import prediction_words
from dbdoctor.render.recommend_tables import now_of
from dbdoctor.render.recommend_text import demand_words, summary_words
from dbdoctor.render.recommend_words import short_words, value_words
from dbdoctor.render.report.curve import curve
from dbdoctor.render.report.figure import Table, table_of
from dbdoctor.render.report.html import Child, Markup, el, escape, join, name
from dbdoctor.render.report.pieces import absent, badge, command, items, number, pairs, section

_LONGEST_REASON = 1000


def recommended(report: WholeReport) -> Markup:
    """The section."""
    advice = report.advice
    if advice is None:
        return section("settings", "Recommended settings", absent(report.absent.get("recommend")))
    found = advice.recommendation
    notes = dict.fromkeys((*found.notes, *advice.notes, *(f"not met: {one}" for one in found.incomplete)))
    return section(
        "settings",
        "Recommended settings",
        el("p", f"{summary_words(advice)}."),
        pairs(_demand(found)),
        el("p", el("strong", "The current settings are fine: nothing to change."))
        if found.current_is_fine
        else _code(advice),
        _compared(advice),
        _server(found),
        _predicted(found),
        curve(advice),
        _budget(found.budget),
        items([escape(note, _LONGEST_REASON) for note in notes], 20, "notes"),
    )


def _demand(found: Recommendation) -> Iterator[tuple[str, Child]]:
    yield "Demand", escape(demand_words(found.demand))
    yield "That is worth", escape(found.demand.source.worth)
    if found.saturated:
        yield "Saturated", escape(found.saturated, _LONGEST_REASON)


def _code(advice: Advice) -> Markup:
    return command("\n".join(code_lines(advice, "python")), "the recommended settings")


def _compared(advice: Advice) -> Markup:
    found = advice.recommendation
    known = found.current is not None
    rows: list[list[Child]] = []
    for one in found.because:
        rows += [*_rows(one, advice, known=known), [escape(one.reason, _LONGEST_REASON)]]
    head = ("setting", "now", "recommended", "change") if known else ("setting", "recommended")
    now = (
        "the current settings beside the recommended"
        if known
        else "the recommended settings; the current ones are not known"
    )
    return table_of(Table(f"{now}, and beneath each why", head, rows))


def _rows(one: Because, advice: Advice, *, known: bool) -> Iterator[list[Child]]:
    if isinstance(one.value, Mapping):
        for key, value in one.value.items():
            now = advice.arguments.get(key)
            yield _row(key, value_words(now), value_words(value), known=known, changes=now != value)
        return
    current = advice.recommendation.current
    now = value_words(now_of(current, one.setting)) if current is not None else ""
    yield _row(one.setting, now, value_words(one.value), known=known, changes=one.changes)


def _row(key: str, now: str, then: str, *, known: bool, changes: bool) -> list[Child]:
    mark = badge("warning", "change") if changes else badge("ok", "keep")
    return [el("code", key), now, then, mark] if known else [el("code", key), then]


def _server(found: Recommendation) -> Markup | None:
    if not found.server_settings:
        return None
    rows: list[list[Child]] = []
    for one in found.server_settings:
        mark = badge("warning", "change") if one.changes else badge("ok", "keep")
        rows += [[el("code", one.setting), value_words(one.value), mark], [escape(one.reason, _LONGEST_REASON)]]
    head = ("setting", "recommended", "change")
    return join(el("h3", "On the server"), table_of(Table("settings of the server, and beneath each why", head, rows)))


def _predicted(found: Recommendation) -> Markup | None:
    if found.prediction is None:
        return None
    words = [escape(text) for text in prediction_words(found.prediction, found)]
    if found.current_prediction is not None and not found.current_is_fine:
        words.append(escape(f"as it is now, {short_words(found.current_prediction)}"))
    return join(el("h3", "Predicted"), items(words, 10, "predictions"))


def _budget(budget: Budget | None) -> Markup | None:
    if budget is None:
        return None
    rows: list[list[Child]] = []
    for row in budget.rows:
        rows += [[name(row.service), *(number(str(one)) for one in (row.pools, row.each, row.total))], [row.working]]
    spare = budget.usable - budget.total
    known = not budget.usable_working.startswith("no limit")
    words = f"{budget.total} of {budget.usable} usable: " + (
        f"{spare} to spare" if spare >= 0 else f"{-spare} too many"
    )
    return join(
        el("h3", "Connections of the fleet, at the height of a rollout"),
        table_of(Table("the budget", ("service", "pools", "each", "total"), rows)),
        el("p", f"{words} ({budget.usable_working})." if known else f"{budget.total} in all; {budget.usable_working}."),
        items([escape(f"to give up: {one}") for one in budget.give_up], 10, "proposals"),
    )
