"""The probe's stages: how long each took, where it failed, what the server is, and what a login costs."""

from __future__ import annotations

from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.report import WholeReport
from dbdoctor.render.check_text import fact_rows
from dbdoctor.render.report.figure import Canvas, Table, figure, line, rect, text
from dbdoctor.render.report.html import Markup, el, escape, join
from dbdoctor.render.report.pieces import absent, number, pairs, section
from dbdoctor.render.report.scale import Scale

_ROW, _HEAD = 30.0, 10.0


def stages(report: WholeReport) -> Markup:
    """The section."""
    examination = report.examination
    if examination is None:
        return section("stages", "Connecting", absent(report.absent.get("check")))
    return section("stages", "Connecting", el("p", says(examination)), _plot(examination), _facts(examination))


def says(examination: Examination) -> str:
    """The plot in a sentence."""
    if not examination.stages:
        return "No stage was reached."
    failed = next((one for one in examination.stages if not one.ok), None)
    whole = sum(one.seconds for one in examination.stages)
    if failed is not None:
        return f"The stage {failed.name.value} failed after {format_duration(failed.seconds)}: {failed.detail}"
    longest = max(examination.stages, key=lambda one: one.seconds)
    return (
        f"All {len(examination.stages)} stages succeeded, in {format_duration(whole)}; the longest was {longest.name.value} "
        f"with {format_duration(longest.seconds)}."
    )


def _facts(examination: Examination) -> Markup | None:
    rows = [(f"{key[:1].upper()}{key[1:]}", escape(words)) for key, words in fact_rows(examination)]
    return join(el("h3", "The server"), pairs(rows)) if rows else None


def _plot(examination: Examination) -> Markup | None:
    found = examination.stages
    if not found:
        return None
    height = _HEAD + _ROW * len(found) + 6
    rows = [
        (one.name.value, "ok" if one.ok else "failed", number(format_duration(one.seconds)),
         join(escape(one.detail), [join(el("br"), escape(row)) for row in one.lines[:10]]))
        for one in found
    ]  # fmt: skip
    table = Table("the stages of the connection", ("stage", "", "took", "what"), rows)

    def draw(canvas: Canvas) -> Markup:
        return _bars(examination, canvas)

    return figure(
        "stages-plot", "How long each stage took, one after the other", says(examination), draw, table,
        canvases=(Canvas(760, height, left=70, right=90), Canvas(340, height, left=60, right=70)),
    )  # fmt: skip


def _bars(examination: Examination, canvas: Canvas) -> Markup:
    whole = sum(one.seconds for one in examination.stages)
    x = Scale(0.0, whole or 1.0, canvas.left, canvas.x_end)
    drawn: list[Markup] = []
    began = 0.0
    for position, one in enumerate(examination.stages):
        top = _HEAD + _ROW * position
        start, end = x.at(began), x.at(began + one.seconds)
        began += one.seconds
        kind, word = ("bar-ok", "") if one.ok else ("bar-failed", "failed ")
        drawn += [
            text(canvas.left - 8, top + 15, one.name.value, anchor="end"),
            line(canvas.left, top + 21, canvas.x_end, top + 21, "grid"),
            rect(start, top + 3, max(2.0, end - start), 15, kind),
            *_label(word + format_duration(one.seconds), start, max(start + 2, end), top + 15, canvas),
        ]
    return join(drawn)


def _label(words: str, start: float, end: float, y: float, canvas: Canvas) -> list[Markup]:
    """Behind its bar, or before it where there is no room behind."""
    wide = len(words) * 6.8
    if end + 6 + wide <= canvas.width:
        return [text(end + 6, y, words)]
    return [text(start - 6, y, words, anchor="end")]
