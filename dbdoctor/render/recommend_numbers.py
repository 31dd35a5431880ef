"""`recommend --explain-numbers`: the inputs and the working behind every number of the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbdoctor.model.advice import Advice
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.style import Style


def number_lines(advice: Advice, style: Style) -> Iterator[str]:
    """Each setting's evidence, the bounds with their sums, and the closed formulas."""
    found = advice.recommendation
    yield ""
    yield style.paint("the numbers", bold=True)
    before: tuple[str, Mapping[str, Any]] = ("", {})
    for one in (*found.because, *found.server_settings):
        if one.evidence and one.evidence == before[1]:
            yield f"  {one.setting}: as {before[0]}"
            continue
        before = (one.setting, one.evidence)
        yield f"  {one.setting}"
        for name, value in one.evidence.items():
            yield fill(f"{name} = {_value(value)}", style.width, "        ", "    ")
    if found.bounds.ceilings or found.bounds.knee:
        yield "  bounds"
    for ceiling in found.bounds.ceilings:
        text = f"{clean(ceiling.name)} = {ceiling.connections}: {clean(ceiling.working, 300)}"
        yield fill(text, style.width, "        ", "    ")
    if found.bounds.knee:
        yield fill(
            f"the server's knee = {found.bounds.knee}: {found.bounds.knee_working}", style.width, "        ", "    "
        )
    if found.cross_checks:
        yield "  closed formulas"
    for check in found.cross_checks:
        agrees = "agrees" if check.agrees else "disagrees"
        yield fill(f"{check.name} = {check.size}, {agrees}: {check.working}", style.width, "        ", "    ")


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_value(item) for item in value) or "none"
    return "not known" if value is None else clean(str(value), 300)
