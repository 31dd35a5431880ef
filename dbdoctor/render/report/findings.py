"""The findings, the worst first: what, the evidence, why, what to do, and the command to copy."""

from __future__ import annotations

from dbdoctor.model.finding import Severity, Skipped
from dbdoctor.model.report import Told, WholeReport
from dbdoctor.render.report.html import Markup, el, escape, join
from dbdoctor.render.report.pieces import badge, command, items, pairs, section
from dbdoctor.render.report.words import SEVERITY_WORD, counted_findings

_MOST = 100
_MOST_ROWS = 10
_LONGEST_WHY = 2000


def findings(report: WholeReport) -> Markup:
    """The section."""
    told = report.told
    if not told:
        return section("findings", "Findings", el("p", "Nothing was found."), skipped(report.skipped))
    more = len(told) - _MOST
    return section(
        "findings",
        "Findings",
        el(
            "p",
            f"{counted_findings(report)}, the worst first. Each has a page: ",
            el("code", "dbdoctor explain CODE"),
            ".",
        ),
        [_finding(one, number) for number, one in enumerate(told[:_MOST])],
        el("p", f"{more} findings less bad than these are left out.") if more > 0 else None,
        skipped(report.skipped),
    )


def _finding(told: Told, position: int) -> Markup:
    one = told.finding
    kind, key = one.severity.value, f"finding-{position}"
    rows = [escape(row) for row in one.rows]
    advice = [("Why", escape(one.why, _LONGEST_WHY))]
    if one.fix and one.severity is not Severity.INFO:
        advice.append(("Fix", escape(one.fix, _LONGEST_WHY)))
    return el(
        "article",
        el("h3", badge(kind, SEVERITY_WORD[one.severity]), " ", one.title, id=key),
        el("p", el("code", one.code), f", from {told.command}", class_="quiet"),
        items(rows, _MOST_ROWS, "rows of evidence"),
        pairs(advice),
        command(one.command, f"what to paste for {one.code}") if one.command else None,
        class_=f"finding {kind}",
        aria_labelledby=key,
    )


def skipped(rules: tuple[Skipped, ...]) -> Markup | None:
    """What could not be looked at: that is never healthy."""
    if not rules:
        return None
    told = [
        join(
            el("code", one.rule),
            ": ",
            one.reason,
            command(one.help, f"what would let {one.rule} look") if one.help else None,
        )
        for one in rules
    ]
    return join(el("h3", "What could not be looked at"), items(told, _MOST, "rules"))
