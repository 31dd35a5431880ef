"""A plugin's answer for Nagios, Icinga, Naemon, Checkmk and their like: a status line with performance data, then details.

As in https://www.monitoring-plugins.org/doc/guidelines.html: exit code 0 is OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
A server that cannot be reached is CRITICAL, so is a finding of severity error; a warning is WARNING; a fault of
dbdoctor's own, or of the command line, is UNKNOWN. A rule that could not look changes nothing, and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbdoctor.model.outcome import Figure, Outcome

COMMANDS = ("check",)
MEANING = "a Nagios plugin's answer, with its exit codes"

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_WORD = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
# Which counts of several targets, the best first (monitoring-plugins' max_state_alt).
_ORDER = (OK, UNKNOWN, WARNING, CRITICAL)
_OWN_FAULT = "internal-error"
_STATUS, _LINE = 300, 500  # characters; a status line is read on a telephone


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The status line with all performance data, then a line a target and a finding."""
    several = len(outcomes) > 1
    said = _several(outcomes) if several else f"{outcomes[0].target}: {_worst(outcomes[0])}"
    data = " ".join(_data(figure, one.target if several else None) for one in outcomes for figure in one.figures)
    yield _status(exit_code(outcomes), said) + (f" | {data}" if data else "")
    for outcome in outcomes:
        if several:
            yield _text(f"{_WORD[_state(outcome)]} {outcome.target}: {outcome.headline}", _LINE)
        for finding in outcome.by_severity:
            word = finding.severity.value
            yield _text(f"{word}[{finding.code}]: {finding.title}; fix: {finding.fix}", _LINE)
        for skipped in outcome.skipped:
            yield _text(f"skipped[{skipped.rule}]: {skipped.reason}", _LINE)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 to 3, the worst of all targets."""
    return max((_state(one) for one in outcomes), key=_ORDER.index)


def unknown(why: str) -> str:
    """The status line when nothing could be looked at by a fault of ours or of the command line; exit code 3."""
    return _status(UNKNOWN, why)


def _state(outcome: Outcome) -> int:
    if any(finding.code == _OWN_FAULT for finding in outcome.findings):
        return UNKNOWN
    if not outcome.reached:
        return CRITICAL
    worst = max((finding.severity.rank for finding in outcome.findings), default=0)
    return {3: CRITICAL, 2: WARNING}.get(worst, OK)


def _worst(outcome: Outcome) -> str:
    """What is found, and the worst of it in words."""
    told = next((finding for finding in outcome.by_severity if finding.severity.rank > 1), None)
    return outcome.headline if told is None else f"{outcome.headline}: {told.title} [{told.code}]"


def _several(outcomes: Sequence[Outcome]) -> str:
    bad = [one for one in outcomes if _state(one) != OK]
    named = ", ".join(f"{one.target} {_WORD[_state(one)]}" for one in sorted(bad, key=lambda one: -_rank(one)))
    return f"{len(outcomes) - len(bad)} of {len(outcomes)} targets are well" + (f"; {named}" if named else "")


def _rank(outcome: Outcome) -> int:
    return _ORDER.index(_state(outcome))


def _status(state: int, said: str) -> str:
    return _text(f"DBDOCTOR {_WORD[state]} - {said}", _STATUS)


def _text(text: str, most: int) -> str:
    """On one line, and without the sign that begins performance data."""
    from dbdoctor.render.clean import clean

    return clean(text, most).replace("|", "/")


def _data(figure: Figure, target: str | None) -> str:
    """`'label'=value[unit];[warn];[crit];[min];[max]`; a label holds neither `=` nor a quote nor a space here."""
    label = figure.name if target is None else f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', target)[:100]}_{figure.name}"
    limits = [_number(one) for one in (figure.warning, figure.critical, figure.least, figure.most)]
    return f"{label}={_number(figure.value)}{figure.unit};{';'.join(limits)}".rstrip(";")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
