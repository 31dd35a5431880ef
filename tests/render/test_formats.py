"""The formats of other tools: read as those tools read them, with hostile texts in every place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.outcome import Figure, Outcome
from dbdoctor.model.stage import Stage, StageName
from dbdoctor.render.formats import formats_of, github, junit, nagios
from tests.render.hostile import HOSTILE, harmful

EVIL = {
    **HOSTILE,
    "commands": "x\n::error title=y::z\r\n##[error]w ::stop-commands::t %0A::warning::v",
    "properties": "a,line=1,file=b::c%2C:,=;",
    "entities": "</failure>]]><!--&amp;&#0;\ufffe\uffff\"'",
    "performance": "ok | time=0s;;;0 'x'=1\nOK - all well",
}


def finding(code: str = "slots-nearly-full", severity: Severity = Severity.ERROR, **more: Any) -> Finding:
    given: dict[str, Any] = {"title": "90 of 97 sessions are in use", "why": "the next is refused", "fix": "end some"}
    return Finding(code=code, severity=severity, **{**given, **more})


def outcome(*findings: Finding, **more: Any) -> Outcome:
    """Of `check`, with two rules."""
    given: dict[str, Any] = {
        "command": "check",
        "target": "shop",
        "reached": True,
        "seconds": 0.25,
        "codes": ("slots-nearly-full", "tls-not-used"),
        "findings": findings,
        "skipped": (),
    }
    return Outcome(**{**given, **more})


def evil(text: str, severity: Severity = Severity.ERROR) -> Outcome:
    """With a hostile text in every place."""
    taken = [{"file": text, "line": 3}]
    bad = finding(
        severity=severity, title=text, why=text, fix=text, command=text, rows=(text,) * 7, evidence={"taken_at": taken}
    )
    stage = Stage(StageName.CONNECT, True, 0.1, text, (text,))
    figure = Figure("sessions", 1.0)
    skipped = (Skipped("tls-not-used", text, text),)
    return outcome(bad, target=text, skipped=skipped, stages=(stage,), notes=(text,), figures=(figure,))


# --- annotations of GitHub Actions


def command_of(line: str) -> tuple[str, dict[str, str], str] | None:
    """A line as the runner reads it (ActionCommand.cs): the command, its properties, its message; None for log text."""
    if line.lstrip().startswith("::"):
        info, separator, data = line.lstrip()[2:].partition("::")
        assert separator, line
        name, _, listed = info.partition(" ")
        pairs = [one.partition("=") for one in listed.split(",") if one]
        return name, {key: unescaped(value, "%0D%0A%3A%2C%25") for key, _, value in pairs}, unescaped(data, "%0D%0A%25")
    assert "##[" not in line
    return None


def unescaped(text: str, codes: str) -> str:
    for code in re.findall("%..", codes):
        text = text.replace(code, chr(int(code[1:], 16)))
    return text


def test_github_marks_each_finding_the_worst_first() -> None:
    note = finding("tls-not-used", Severity.INFO, title="no TLS")
    warning = finding("pooler", Severity.WARNING)
    *commands, last = list(github.lines([outcome(note, warning, finding(command="SELECT 1,\n  2; -- 100%"))]))
    read = [command_of(line) for line in commands]
    assert [one[0] for one in read if one] == ["error", "warning", "notice"]
    assert read[0] is not None
    assert read[0][1] == {"title": "dbdoctor check shop: slots-nearly-full"}
    assert read[0][2].splitlines() == [
        "90 of 97 sessions are in use",
        "why: the next is refused",
        "fix: end some",
        "SELECT 1,",
        "  2; -- 100%",
        "more: dbdoctor explain slots-nearly-full",
    ]
    assert last == "dbdoctor check shop: 1 error, 1 warning, 1 note"


def test_github_marks_the_line_of_code_that_the_recorder_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", "/home/runner/shop")
    taken = [{"file": "/home/runner/shop/app/orders.py", "line": 12, "function": "take"}]
    elsewhere = [{"file": "/usr/lib/x.py", "line": 1}]
    found = [outcome(finding(evidence={"taken_at": one})) for one in (taken, elsewhere)]
    read = [command_of(next(github.lines([one]))) for one in found]
    places = [(one[1]["file"], one[1]["line"]) for one in read if one]
    assert places == [("app/orders.py", "12"), ("/usr/lib/x.py", "1")]


def test_github_tells_of_a_rule_that_could_not_look() -> None:
    first, last = github.lines([outcome(skipped=(Skipped("slots-nearly-full", "hidden", "GRANT pg_monitor"),))])
    read = command_of(first)
    assert read is not None
    assert read[0] == "notice"
    assert read[2] == "could not look: hidden\nhelp: GRANT pg_monitor"
    assert last.endswith("nothing found, 1 rule could not look")


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
def test_github_does_nothing_that_a_text_says(text: str) -> None:
    lines = list(github.lines([evil(text)]))
    assert [harmful(line) for line in lines] == [""] * len(lines)
    read = [command_of(line) for line in lines]
    assert [one and one[0] for one in read] == ["error", "notice", None]
    assert read[0] is not None
    assert set(read[0][1]) == {"file", "line", "title"}
    assert read[0][1]["line"] == "3"
    assert sum(map(len, lines)) < 60_000


# --- JUnit

ALLOWED = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testcase", "system-out", "properties"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    ),
    "testcase": ({"skipped", "error", "failure", "system-out"}, {"name", "classname", "time"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "skipped": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}
"""Element: the elements and attributes that it may have, where the readers of CI servers agree."""


def report(*outcomes: Outcome) -> ET.Element:
    """The document, after a look at its form and its sums."""
    text = "\n".join(junit.lines(outcomes))
    assert text.isascii()
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        children, attributes = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) <= attributes
    for suite in root:
        cases = suite.findall("testcase")
        counted = {"tests": len(cases)} | {
            f"{kind}s" if kind != "skipped" else kind: sum(case.find(kind) is not None for case in cases)
            for kind in ("failure", "error", "skipped")
        }
        assert {name: int(suite.attrib[name]) for name in counted} == counted
        assert all(re.fullmatch(r"\d*\.\d*", one.attrib["time"]) for one in (root, suite, *cases))
        names = [(case.get("classname"), case.get("name")) for case in cases]
        assert len(names) == len(set(names))
        assert all(len(case) <= 1 for case in cases)
    return root


def results(root: ET.Element) -> dict[str, str]:
    """Name -> what became of it."""
    return {case.attrib["name"]: case[0].tag if len(case) else "passed" for case in root.iter("testcase")}


def test_junit_has_a_case_a_stage_and_a_rule() -> None:
    stages = tuple(Stage(name, True, 0.01, "well") for name in (StageName.CONNECT, StageName.LOGIN))
    found = report(outcome(finding(), stages=stages))
    expected = {"connect": "passed", "login": "passed", "slots-nearly-full": "failure", "tls-not-used": "passed"}
    assert results(found) == expected
    failure = found.find(".//failure")
    assert failure is not None
    assert failure.attrib == {"type": "slots-nearly-full", "message": "90 of 97 sessions are in use"}
    assert "fix: end some" in (failure.text or "")


@pytest.mark.parametrize(
    ("fail_from", "expected"),
    [
        (Severity.ERROR, ["failure", "system-out"]),
        (Severity.WARNING, ["failure", "failure"]),
        (None, ["system-out", "system-out"]),
    ],
)
def test_junit_fails_as_the_exit_code_does(fail_from: Severity | None, expected: list[str]) -> None:
    warning = finding("tls-not-used", Severity.WARNING)
    assert list(results(report(outcome(finding(), warning, fail_from=fail_from))).values()) == expected


def test_junit_has_one_failure_a_case() -> None:
    """Most readers take no notice of a second one."""
    found = report(outcome(finding(), finding(title="another"), finding(title="a third")))
    names = ["slots-nearly-full", "slots-nearly-full (2)", "slots-nearly-full (3)", "tls-not-used"]
    assert list(results(found)) == names


def test_junit_never_passes_what_was_not_looked_at() -> None:
    stage = Stage(StageName.CONNECT, False, 0.1, "refused")
    found = report(outcome(finding("connection-refused"), reached=False, stages=(stage,), fail_from=None))
    said = results(found)
    assert said.pop("connect") == "failure"
    assert set(said.values()) == {"skipped"}
    assert set(said) == {"tls", "login", "query", "slots-nearly-full", "tls-not-used"}
    hidden = report(outcome(skipped=(Skipped("slots-nearly-full", "hidden"), Skipped("a-rule-of-no-code", "failed"))))
    assert results(hidden) == {"a-rule-of-no-code": "skipped", "slots-nearly-full": "skipped", "tls-not-used": "passed"}


def test_junit_calls_a_fault_of_our_own_an_error() -> None:
    assert results(report(outcome(finding("internal-error"))))["internal-error"] == "error"


def test_junit_keeps_targets_apart() -> None:
    found = report(outcome(finding()), outcome(target="postgresql://app@db1.example.org/x"))
    suites = [suite.attrib["name"] for suite in found]
    assert suites == ["dbdoctor check shop", "dbdoctor check postgresql://app@db1.example.org/x"]
    classes = {case.attrib["classname"] for case in found.iter("testcase")}
    assert classes == {"dbdoctor.check.shop", "dbdoctor.check.postgresql://app@db1_example_org/x"}


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("severity", Severity)
def test_junit_is_xml_whatever_a_text_says(text: str, severity: Severity) -> None:
    found = report(evil(text, severity))
    whole = "".join([*found.itertext(), *(value for one in found.iter() for value in one.attrib.values())])
    assert harmful(whole.replace("\n", "")) == ""
    assert len(whole) < 60_000


# --- Nagios

DATA = re.compile(r"[^\s='|]+=-?\d+(\.\d+)?(s|%|B|c)?(;[\d.]*){0,4}")


def plugin(*outcomes: Outcome) -> tuple[str, list[str]]:
    """The status line's text and its performance data, after a look at the form of all lines."""
    first, *more = list(nagios.lines(outcomes))
    assert re.match(r"DBDOCTOR (OK|WARNING|CRITICAL|UNKNOWN) - ", first)
    assert first.count("|") <= 1
    assert not any("|" in line or "\n" in line for line in more)
    said, _, data = first.partition(" | ")
    assert all(DATA.fullmatch(one) for one in data.split()), data
    return said, data.split()


@pytest.mark.parametrize(
    ("one", "code", "word"),
    [
        (outcome(), 0, "OK"),
        (outcome(finding(severity=Severity.INFO)), 0, "OK"),
        (outcome(skipped=(Skipped("slots-nearly-full", "hidden"),)), 0, "OK"),
        (outcome(finding(severity=Severity.WARNING)), 1, "WARNING"),
        (outcome(finding(), finding(severity=Severity.WARNING)), 2, "CRITICAL"),
        (outcome(finding("connection-refused"), reached=False), 2, "CRITICAL"),
        (outcome(finding("internal-error"), reached=False), 3, "UNKNOWN"),
    ],
)
def test_nagios_states(one: Outcome, code: int, word: str) -> None:
    assert nagios.exit_code([one]) == code
    assert plugin(one)[0].startswith(f"DBDOCTOR {word} - shop: ")


def test_nagios_takes_the_worst_of_several() -> None:
    well, warned = outcome(), outcome(finding(severity=Severity.WARNING), target="jobs")
    down, ours = outcome(finding("refused"), reached=False, target="x"), outcome(finding("internal-error"), target="y")
    assert [nagios.exit_code([well, *rest]) for rest in ((), (ours,), (ours, warned), (warned, down, ours))] == [
        0,
        3,
        1,
        2,
    ]
    assert plugin(well, warned, down)[0] == "DBDOCTOR CRITICAL - 1 of 3 targets are well; x CRITICAL, jobs WARNING"


def test_nagios_figures() -> None:
    figures = (Figure("time", 0.0123456789, "s", least=0), Figure("sessions", 62, "", 77, 87, 0, 97))
    assert plugin(outcome(figures=figures))[1] == ["time=0.012346s;;;0", "sessions=62;77;87;0;97"]
    several = plugin(outcome(figures=figures), outcome(figures=figures, target="my db='x' | y"))[1]
    assert several[1::2] == ["shop_sessions=62;77;87;0;97", "my_db_x_y_sessions=62;77;87;0;97"]


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
def test_nagios_keeps_its_form_whatever_a_text_says(text: str) -> None:
    lines = list(nagios.lines([evil(text)]))
    assert [harmful(line) for line in lines] == [""] * len(lines)
    assert plugin(evil(text))[1] == ["sessions=1"]
    assert len(plugin(evil(text), outcome())[1]) == 1
    assert len(lines[0]) < 400


# --- what is known of them


def test_formats_are_found_not_listed() -> None:
    assert set(formats_of("check")) >= {"github", "junit", "nagios"}
    assert set(formats_of("leaks")) & set(formats_of("recommend")) >= {"github", "junit"}
    assert list(formats_of("drivers")) == []


def test_a_format_is_told_in_few_words() -> None:
    for module in formats_of("check").values():
        assert 5 < len(module.MEANING) < 60
        assert list(module.lines([outcome(replace(finding(), rows=("a", "b")))]))
