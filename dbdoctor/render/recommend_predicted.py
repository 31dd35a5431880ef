"""What `recommend` predicts, for people: of the recommended pool, and of what was asked beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbdoctor.model.advice import WhatIf
from dbdoctor.model.sizing import Prediction, Recommendation
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.recommend_words import NONE, change_words, get, short_words, time_words, title, value_words
from dbdoctor.render.style import Style


def predicted_lines(found: Recommendation, style: Style) -> Iterator[str]:
    """Waits, timeouts and churn with their ranges; without a prediction the range of the size."""
    if found.prediction is None:
        if found.size_range is not None and found.connections is not None:
            yield ""
            low, high = (round(end) for end in found.size_range)
            text = f"{low} to {high} connections in a process could be right; {found.connections} are recommended"
            yield fill(text, style.width, "    ", "  ")
        return
    yield ""
    yield title("predicted", style)
    for text in prediction_words(found.prediction, found):
        yield fill(text, style.width, "      ", "  ")


def prediction_words(one: Prediction, found: Recommendation) -> Iterator[str]:
    """One sentence each."""
    point = one.point
    longest = " to ".join(dict.fromkeys((time_words(one.longest.least), time_words(one.longest.most))))
    waits = [f"{share}% {get(wait)}" for share, wait in ((50, point.p50), (95, point.p95)) if wait > 5e-5]
    waits.append(f"99% {get(point.p99)}{_certain(one)}")
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
        noun = "connection" if (low, high) == (1, 1) else "connections"
        yield f"another recording of the same demand would have asked for {span} {noun} (5 to 95%)"
    other = [one for one in found.cross_checks if not one.agrees]
    if other:
        said = ", ".join(f"{one.name} {one.size}" for one in other)
        yield f"closed formulas disagree, which know nothing of bursts: {said}"


def _certain(one: Prediction) -> str:
    low, high = one.p99_range
    return "" if high <= NONE else f" (with 90% certainty within {time_words(low)} to {time_words(high)})"


def what_if_lines(what_ifs: Sequence[WhatIf], style: Style) -> Iterator[str]:
    """An answer for each question."""
    if not what_ifs:
        return
    yield ""
    yield title("what if", style)
    for one in what_ifs:
        name = ", ".join(f"{key}={change_words(value)}" for key, value in one.changes.items())
        text = fill(f"{name}: {_answer(one)}", style.width, "      ", "  ")
        yield text.replace(name, style.paint(name, bold=True), 1)


def _answer(one: WhatIf) -> str:
    shown = ", ".join(
        f"{name} {value_words(one.settings[name])}" for name in ("pool_size", "max_overflow") if name in one.settings
    )
    parts = [shown or "NullPool"]
    if one.prediction is not None:
        parts.append(short_words(one.prediction))
    if one.budget is not None:
        known = not one.budget.usable_working.startswith("no limit")
        fits = f" of {one.budget.usable}: {'fits' if one.budget.feasible else 'does not fit'}" if known else ""
        parts.append(f"{one.budget.total} connections{fits}")
    if one.note:
        parts[-1] += f" ({clean(one.note)})"
    return "; ".join(parts)
