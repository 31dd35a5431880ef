import sys
import types

import pytest

from dbdoctor import rules
from dbdoctor.model.finding import Finding, Page, Severity, Skipped
from dbdoctor.model.page import parse_page
from tests.rules.facts import facts, far, target

GOOD = """One line

What it means
    First.

    Second.

Why it matters
    Because.

What to do
    Run this:

        SELECT 1;
"""


def test_a_page_is_read_from_its_docstring():
    page = parse_page("a-code", GOOD)
    assert page == Page("a-code", "One line", "First.\n\nSecond.", "Because.", "Run this:\n\n    SELECT 1;")


def test_an_example_may_follow():
    assert parse_page("a-code", GOOD + "\nExample\n    like this\n").example == "like this"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "One line",
        GOOD.replace("One line", "One line."),
        GOOD.replace("Why it matters", "Why"),
        GOOD.replace("    Because.\n", ""),
        GOOD.replace("What to do", "What it means"),
        GOOD.replace("One line\n", "One line\nand another\n"),
        GOOD + "\nMore\n    of it\n",
    ],
)
def test_another_shape_is_refused(wrong):
    with pytest.raises(ValueError, match="a-code"):
        parse_page("a-code", wrong)


def test_every_rule_has_a_page_for_every_code():
    pages = rules.pages()
    assert len(pages) >= 17
    for code, page in pages.items():
        assert page.code == code
        assert code == code.lower()
        assert " " not in code
        assert len(page.summary) <= 100
        for line in (*page.means.splitlines(), *page.matters.splitlines(), *page.do.splitlines()):
            assert len(line) <= (74 if line.startswith(" ") else 120), "commands are shown unwrapped on 80 columns"


def test_no_code_means_two_things():
    from dbdoctor.probe.failures import catalogue

    assert not set(rules.pages()) & set(catalogue())
    codes = [code for module in rules.modules() for code in module.CODES]
    assert len(codes) == len(set(codes))


def test_a_quiet_server_gives_nothing():
    assert rules.judge_all(facts(), target()) == ([], [])


def test_the_worst_comes_last():
    found, skipped = rules.judge_all(
        far(used=97, uptime=5.0, version="13.23", version_number=130023), target(host="db1")
    )
    assert [finding.severity for finding in found] == sorted(
        (finding.severity for finding in found), key=lambda severity: severity.rank
    )
    assert found[-1].code == "slots-nearly-full"
    assert {"recently-restarted", "version-unsupported", "tls-not-used"} <= {finding.code for finding in found}
    assert skipped == []


def test_a_rule_that_fails_is_said_and_the_others_speak(monkeypatch):
    broken = types.ModuleType("dbdoctor.rules.broken_rule")

    def judge(facts, target):
        yield Finding("half", Severity.INFO, "t", "w", "f")
        raise KeyError("a secret word")

    broken.judge = judge  # type: ignore[attr-defined]
    whole = list(rules.modules())
    monkeypatch.setattr(rules, "modules", lambda: [broken, *whole])
    found, skipped = rules.judge_all(facts(uptime=1.0), target())
    assert [finding.code for finding in found] == ["recently-restarted"]
    assert [one.rule for one in skipped] == ["broken-rule"]
    assert "KeyError" in skipped[0].reason
    assert "secret" not in skipped[0].reason


def test_a_server_that_said_nothing_makes_skips_never_health():
    from dbdoctor.model.server import Missing, ServerFacts

    said = ServerFacts(
        "Amazon Redshift", "1.0.77467", 80002, missing=(Missing("slots, limits and settings", "no catalogue"),)
    )
    _found, skipped = rules.judge_all(said, target(host="cluster.example"))
    rules_skipped = {one.rule for one in skipped}
    assert {
        "slots-nearly-full",
        "version-unsupported",
        "clock-skew",
        "idle-in-transaction-unlimited",
        "idle-session-timeout-below-recycle",
        "server-keepalive-slow",
    } <= rules_skipped
    assert all(isinstance(one, Skipped) for one in skipped)
    assert "no catalogue" in next(one.reason for one in skipped if one.rule == "slots-nearly-full")


def test_rules_are_found_not_listed():
    before = {name for name in sys.modules if name.startswith("dbdoctor.rules.")}
    assert "dbdoctor.rules.slots" in before | {module.__name__ for module in rules.modules()}


@pytest.mark.parametrize("code", sorted(code for module in rules.modules() for code in module.CODES))
def test_every_finding_carries_only_json(code):
    import json

    from tests.rules.facts import PROVOKED

    made_facts, made_target = PROVOKED[code]
    finding = next(one for one in rules.judge_all(made_facts, made_target)[0] if one.code == code)
    json.dumps(dict(finding.evidence))
    assert finding.title and not finding.title.endswith(".")
    assert finding.why and finding.fix
    assert len(finding.rows) <= 5
    assert all(len(line) <= 74 for line in (finding.command or "").splitlines())
