"""`simulate-timeout` for people: the matrix, what was seen behind it, the findings, and the configuration to paste."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Severity
from dbdoctor.model.trial import Bound, Case, FaultFacts, Outcome, PoolPlan, SimulationReport
from dbdoctor.render.clean import clean, clean_lines, fill
from dbdoctor.render.finding import by_severity, finding_lines
from dbdoctor.render.style import Style
from dbdoctor.rules._common import count
from dbdoctor.trials.judge import LONGER

_COLOUR = {
    Outcome.SURVIVES: "green",
    Outcome.ONE_ERROR: "yellow",
    Outcome.ERRORS: "red",
    Outcome.HANGS: "red",
}
_COLUMN = 10
# A survivor that made somebody wait is no plain survivor: from here on its time is told (seconds).
_NOTICEABLE = 0.5


def simulation_lines(report: SimulationReport, style: Style) -> Iterator[str]:
    """The whole report."""
    yield clean(report.target, 200)
    yield fill(scale_words(report), style.width, "  ")
    yield ""
    letters = dict(zip((fault.code for fault in report.faults), _letters(len(report.faults)), strict=True))
    for fault in report.faults:
        text = f"{letters[fault.code]:<3}{fault.code}: {fault.title} ({fault.stands_for})"
        yield fill(text, style.width, "       ", "  ")
    yield ""
    yield from _matrix(report, letters, style)
    yield from _value_lines(report, style)
    yield from _seen(report, letters, style)
    for finding in by_severity(report.findings):
        yield ""
        yield from finding_lines(finding, style)
        if finding.command and finding.severity is Severity.INFO:
            for line in clean_lines(finding.command):
                yield f"      {style.paint(line, 'green')}"
    yield ""
    yield from _cheapest(report, style)
    if report.incomplete:
        yield fill(f"not complete: {clean(report.incomplete)}", style.width, "  ")
    yield summary_words(report)


def _letters(count: int) -> list[str]:
    """A, B, ... Z, AA, AB, ..."""
    one = list(ascii_uppercase)
    return [*one, *(a + b for a in one for b in one)][:count]


def scale_words(report: SimulationReport) -> str:
    """The server, after how long connections are dropped in the trial, and what that stands for."""
    scale = report.scale
    server = clean(report.server)
    if abs(scale.factor - 1) < 1e-9:
        return f"{server}; idle connections are dropped after {format_duration(scale.real)}, unscaled"
    return (
        f"{server}; idle connections are dropped after {format_duration(scale.trial)}, which stands for "
        f"{format_duration(scale.real)}: one second of the trial is {format_duration(scale.factor)}"
    )


def _matrix(report: SimulationReport, letters: dict[str, str], style: Style) -> Iterator[str]:
    """Pools down, faults across; in as many blocks as the width wants."""
    first = max((len(pool.name) for pool in report.pools), default=0) + 4
    fit = max(1, (style.width - first) // _COLUMN)
    for start in range(0, len(report.faults), fit):
        block = report.faults[start : start + fit]
        if start:
            yield ""
        yield " " * first + "".join(f"{letters[fault.code]:<{_COLUMN}}" for fault in block).rstrip()
        for pool in report.pools:
            cells = [_cell(report.case(fault.code, pool.name), style) for fault in block]
            yield f"  {pool.name:<{first - 2}}" + "".join(cells).rstrip()


def _value_lines(report: SimulationReport, style: Style) -> Iterator[str]:
    found = scaled_values(report)
    if found:
        yield ""
    for words, pools in found.items():
        yield fill(f"{clean(words)}: {', '.join(pools)}", style.width, "       ", "  ")


def scaled_values(report: SimulationReport) -> dict[str, list[str]]:
    """What the scaled values stand for, each once, and what each checkout costs where that is a round trip or a login."""
    found: dict[str, list[str]] = {}
    for pool in report.pools:
        for name, words in pool.real.items():
            found.setdefault(f"{name} {words}", []).append(pool.name)
        if pool.pool_pre_ping:
            found.setdefault("a round trip more for each checkout", []).append(pool.name)
        if pool.pool_class == "NullPool":
            found.setdefault("a login for each checkout", []).append(pool.name)
    return found


def _cell(case: Case | None, style: Style) -> str:
    text, colour = cell_words(case)
    return style.paint(text, colour) + " " * max(1, _COLUMN - len(text))


def cell_words(case: Case | None) -> tuple[str, str | None]:
    """What stands in a cell, and its colour."""
    if case is None or case.outcome is None:
        return "?", None
    colour = _COLOUR[case.outcome]
    if case.outcome is Outcome.HANGS:
        return "hangs", colour
    if case.outcome is Outcome.SURVIVES:
        slow = case.slowest is not None and case.slowest >= _NOTICEABLE
        return (f"ok {case.slowest:.1f}s", "yellow") if slow else ("ok", colour)
    return ("1 error" if case.failed == 1 else f"{case.failed} errors"), colour


def _seen(report: SimulationReport, letters: dict[str, str], style: Style) -> Iterator[str]:
    """What stands behind the cells that are not `ok`: each distinct thing once, with the pools that met it."""
    for fault in report.faults:
        found = things_seen(report, fault)
        if not found:
            continue
        yield ""
        yield style.paint(f"{letters[fault.code]}  {fault.code}", bold=True)
        for text, pools in found.items():
            yield fill(f"{text}: {_named(pools, report.pools)}", style.width, "       ", "   ")


def things_seen(report: SimulationReport, fault: FaultFacts) -> dict[str, list[str]]:
    """In the words of the first that saw it: the ports and numbers in a driver's words differ from trial to trial."""
    words: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for pool in report.pools:
        case = report.case(fault.code, pool.name)
        for text in _things(case) if case else []:
            found.setdefault(words.setdefault(_alike(text, case), text), []).append(pool.name)
    return found


def _alike(text: str, case: Case | None) -> str:
    """What two trials have in common when they saw the same thing."""
    if text.startswith("hangs, "):
        return text.partition(";")[2]
    return _unnumbered(text) if case and case.error and text.startswith(case.error.type) else text


def _unnumbered(text: str) -> str:
    """Without what differs from trial to trial, but with the native number that SQL Server's errors end with."""
    return re.sub(r"(?<!\()\b[0-9a-f]*\d[0-9a-f]*\b(?!\))", "#", text)


def _things(case: Case) -> Iterator[str]:
    if not case.testable:
        yield clean(case.note or "not testable here")
        return
    if case.outcome is Outcome.HANGS and case.hang is not None:
        here = f"; it would last {bound_text(case.would_hang)}" if case.would_hang else ""
        yield f"hangs, ended after {format_duration(case.hang)}{here}"
    if case.error is not None:
        state = f" {case.error.sqlstate}" if case.error.sqlstate else ""
        yield f"{case.error.type}{state} in {case.error.where}: {clean(case.error.message, 160)}"
    if case.failed and case.outcome is not Outcome.HANGS:
        yield _recovery(case.recovered)
    if case.reconnects:
        yield f"{case.reconnects} login{'s' if case.reconnects > 1 else ''} after it"
    if case.ghosts is None:
        yield "what is left on the server is not known (a pooler, or a login that may not look)"
    if case.ghosts:
        stay = f" for {bound_text(case.ghost_bound)}" if case.ghost_bound else ""
        many = len(case.ghosts)
        yield f"{many} session{'s' if many > 1 else ''} left behind on the server{stay}"


def _recovery(seconds: float | None) -> str:
    """In whole seconds, so that pools that recovered alike are told together."""
    return "not served again in the trial" if seconds is None else f"served again within {math.ceil(seconds)} s"


def bound_text(bound: Bound) -> str:
    """`13m to 30m (net.ipv4.tcp_retries2 = 15)`."""
    if bound.most is None:
        known = bound.why.startswith(LONGER)
        length = f"{format_duration(bound.least)} at least" if known else "for ever"
    elif bound.most - bound.least < 0.05 * bound.most:
        length = f"about {format_duration(bound.most)}"
    else:
        length = f"{format_duration(bound.least)} to {format_duration(bound.most)}"
    return f"{length} ({clean(bound.why)})" if bound.why else length


def _named(pools: Sequence[str], every: Sequence[PoolPlan]) -> str:
    if len(pools) == len(every) > 1:
        return "every pool"
    return ", ".join(pools)


def _cheapest(report: SimulationReport, style: Style) -> Iterator[str]:
    pool = next((pool for pool in report.pools if pool.name == report.cheapest), None)
    if pool is None:
        if report.incomplete is None and any(case.testable for case in report.cases):
            yield fill(none_survives(report), style.width, "  ")
        return
    all_of_it = "all of it" if all(case.testable for case in report.cases) else "all that could be tried"
    yield style.paint(f"the cheapest that survives {all_of_it}: {pool.name}", "green", bold=True)
    yield fill(clean(pool.title, 300), style.width, "  ")
    for line in pool.lines:
        yield f"      {style.paint(line, 'green')}"


def none_survives(report: SimulationReport) -> str:
    """What can be said when no pool is known to survive everything."""
    failed = {case.pool for case in report.cases if case.testable and case.outcome is not Outcome.SURVIVES}
    if all(pool.name in failed for pool in report.pools):
        return "no pool that was tried survives every fault that was tried"
    return "no pool is known to survive every fault: those that met none could not be tried with all"


def summary_words(report: SimulationReport) -> str:
    """The last line: how many trials survived, hung, failed."""
    tried = [case for case in report.cases if case.testable]
    survived = sum(case.outcome is Outcome.SURVIVES for case in tried)
    hung = sum(case.outcome is Outcome.HANGS for case in tried)
    left = len(report.cases) - len(tried)
    more = f", {left} not testable here" if left else ""
    return (
        f"{count(len(tried), 'trial')} in {format_duration(report.took)}: {survived} survived, {hung} hung, "
        f"{len(tried) - survived - hung} failed{more}"
    )
