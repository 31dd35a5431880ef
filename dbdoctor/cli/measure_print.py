"""The answer of `measure-timeout` as lines, text or JSON; also that nobody could connect."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dbdoctor.cli.judge import judge
from dbdoctor.model.measured import Bracket, Measured, MeasureOptions
from dbdoctor.render.style import Style

if TYPE_CHECKING:
    from dbdoctor.cli.measure_run import Answer
    from dbdoctor.model.examination import Examination
    from dbdoctor.model.target import Target


def lines_of(
    answer: Answer, target: Target, *, wants_json: bool, no_color: bool, indent: int | None = None
) -> Iterator[str]:
    """What goes to stdout."""
    style = Style.of(sys.stdout, no_color=no_color)
    if answer.failed is not None:
        yield from _failed(answer.failed, target, wants_json=wants_json, style=style, indent=indent)
        return
    assert answer.measured is not None
    if wants_json:
        from dbdoctor.render.measure_json import measure_json

        yield measure_json(answer.measured, answer.findings, indent=indent)
        return
    from dbdoctor.render.measure_text import measured_lines

    yield target.shown
    yield from measured_lines(answer.measured, answer.findings, style)


def _failed(
    examination: Examination, target: Target, *, wants_json: bool, style: Style, indent: int | None
) -> Iterator[str]:
    """As `check` says it; the JSON is whole."""
    judged = judge(examination)
    if wants_json:
        from dbdoctor.render.measure_json import measure_json

        nothing = Measured(target, MeasureOptions(), Bracket(), answered=False)
        yield measure_json(nothing, judged.findings, indent=indent)
        return
    from dbdoctor.render.check_text import result_lines, stage_lines

    yield target.shown
    for stage in judged.stages:
        yield from stage_lines(stage, style)
    yield from result_lines(replace(judged, facts=None), style)
