"""A report of tests in JUnit's XML, which every build server reads: one suite a target, one case a stage and a rule.

A case's name is the stage or the finding's code, so that it is the same test in every run. What does not reach
`--fail-on` passes, and stands in the case's output; a rule that could not look, or was never asked, is skipped.
The elements are those of https://github.com/jenkinsci/xunit-plugin (junit-10.xsd), one failure a case, since most
readers take no notice of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from dbdoctor.model.finding import Finding
    from dbdoctor.model.outcome import Outcome

COMMANDS = ("check", "leaks", "recommend")
MEANING = "a JUnit test report"

_NOT_REACHED = "not looked at: there was no way in"
_OWN_FAULT = "internal-error"


class _Case(NamedTuple):
    """One test: at most one of `failing` and `skipped`; `passing` is what was found and does not count."""

    name: str
    seconds: float = 0.0
    failing: Finding | None = None
    skipped: str | None = None
    passing: Finding | None = None


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The whole document."""
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", name="dbdoctor")
    for outcome in outcomes:
        root.append(_suite(outcome, list(_cases(outcome))))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    ET.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    # In ASCII, whatever the stream's encoding is.
    yield ET.tostring(root, encoding="us-ascii").decode("ascii")


def _cases(outcome: Outcome) -> Iterator[_Case]:
    left = list(outcome.by_severity)
    yield from _stages(outcome, left)
    skipped = {one.rule: one for one in outcome.skipped}
    for code in sorted(set(outcome.codes) | set(skipped) | {finding.code for finding in left}):
        found = [finding for finding in left if finding.code == code]
        for number, finding in enumerate(found, start=1):
            name = code if number == 1 else f"{code} ({number})"
            fails = outcome.fails(finding)
            yield _Case(name, failing=finding if fails else None, passing=None if fails else finding)
        if found:
            continue
        if code in skipped:
            reason, help_ = skipped[code].reason, skipped[code].help
            yield _Case(code, skipped=f"{reason}; {help_}" if help_ else reason)
        else:
            yield _Case(code, skipped=None if outcome.reached else _NOT_REACHED)


def _stages(outcome: Outcome, left: list[Finding]) -> Iterator[_Case]:
    """A case a stage; the failed one takes its finding out of those that are left."""
    from dbdoctor.model.stage import StageName

    for stage in outcome.stages:
        failing = None
        if not stage.ok:
            failing = next((one for one in left if outcome.fails(one) and one.code not in outcome.codes), None)
        if failing is not None:
            left.remove(failing)
        yield _Case(stage.name.value, stage.seconds, failing)
    if outcome.stages and not outcome.reached:
        order = [name.value for name in StageName]
        for name in order[order.index(outcome.stages[-1].name.value) + 1 :]:
            yield _Case(name, skipped="not reached")


def _suite(outcome: Outcome, cases: Sequence[_Case]) -> Element:
    from xml.etree import ElementTree as ET

    own = sum(case.failing is not None and case.failing.code == _OWN_FAULT for case in cases)
    suite = ET.Element(
        "testsuite",
        name=_text(f"dbdoctor {outcome.command} {outcome.target}", 300),
        tests=str(len(cases)),
        failures=str(sum(case.failing is not None for case in cases) - own),
        errors=str(own),
        skipped=str(sum(case.skipped is not None for case in cases)),
        time=f"{outcome.seconds or 0.0:.3f}",
    )
    # Build servers take what is before the last dot for a package.
    where = f"dbdoctor.{outcome.command}.{_text(outcome.target, 300).replace('.', '_')}"
    for case in cases:
        suite.append(_element(case, where))
    if outcome.notes:
        ET.SubElement(suite, "system-out").text = "\n".join(_text(note, 1000) for note in outcome.notes)
    return suite


def _element(case: _Case, where: str) -> Element:
    from xml.etree import ElementTree as ET

    element = ET.Element("testcase", classname=where, name=_text(case.name, 100), time=f"{case.seconds:.3f}")
    if case.failing is not None:
        kind = "error" if case.failing.code == _OWN_FAULT else "failure"
        attributes = {"type": _text(case.failing.code, 100), "message": _text(case.failing.title, 500)}
        ET.SubElement(element, kind, attributes).text = _told(case.failing)
    elif case.skipped is not None:
        ET.SubElement(element, "skipped", message=_text(case.skipped, 500))
    elif case.passing is not None:
        severity = f"{case.passing.severity.value}[{case.passing.code}]: {_text(case.passing.title, 500)}\n"
        ET.SubElement(element, "system-out").text = severity + _told(case.passing)
    return element


def _told(finding: Finding) -> str:
    """All of it, as lines."""
    told = [*finding.rows, f"why: {finding.why}", f"fix: {finding.fix}", *(finding.command or "").split("\n")]
    return "\n".join(_text(line, 1000) for line in [*told, f"more: dbdoctor explain {finding.code}"] if line)


def _text(text: str, most: int) -> str:
    """Harmless on one line, and without the two letters that XML does not have besides control characters."""
    from dbdoctor.render.clean import clean

    return clean(text, most).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
