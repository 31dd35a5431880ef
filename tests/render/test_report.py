"""The HTML report: texts stay texts, nothing secret, every part or why it is not there, and a size that stays bounded."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dbdoctor.model.leaks import GroupKey
from dbdoctor.model.report import Moment, Span, WholeReport
from dbdoctor.model.secret import Secret, redact
from dbdoctor.render.report.html import Markup, el, escape, lines
from dbdoctor.render.report.page import SECTIONS, page
from dbdoctor.render.report.scale import Scale, decades, spread, ticks, time_ticks
from dbdoctor.render.report.words import summary_words
from tests.render import reports
from tests.render.hostile import HOSTILE, harmful
from tests.render.whole import examination, of_recording, whole, with_name

MARKUP = {
    "script": "<script>alert(1)</script>",
    "comment": "<!-- --><!--",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "end": "</style></script></title></svg><img src=http://evil.example/x onerror=alert(1)>",
    "entity": "&lt;b&gt; &#60;script&#62; &amp",
    "data": "]]><![CDATA[<b>",
}


class Outline(HTMLParser):
    """What a browser would make of the page, as far as it matters here."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value or "" for _, found, value in self.attributes if found == name]


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Outline:
    return Outline(page(whole(tmp_path_factory.mktemp("trace"))))


def test_everything_that_is_opened_is_closed(ordinary: Outline):
    assert ordinary.wrong == []
    assert ordinary.open == []


def test_every_section_is_there(ordinary: Outline):
    ids = ordinary.values("id")
    assert [key for key in SECTIONS if key in ids] == list(SECTIONS)
    assert len(ids) == len(set(ids))
    for reference in ordinary.values("href"):
        assert reference == "data:," or reference.removeprefix("#") in ids
    for reference in [*ordinary.values("aria-labelledby")]:
        assert set(reference.split()) <= set(ids)


def test_what_is_there_is_said(ordinary: Outline):
    said = " ".join(" ".join(ordinary.texts).split())
    for words in (
        "9 sessions of checkout-api are idle in transaction",
        "35 free",
        "hangs",
        "not testable here",
        "pool_size",
        "shop/orders.py:12 take_order",
        "login is well",
        "the slots run out in 2.4 min",
    ):
        assert words in said, words


def test_nothing_comes_from_elsewhere(ordinary: Outline):
    for tag, name, value in ordinary.attributes:
        assert name not in {"src", "srcset", "action", "style", "background", "xlink:href"}, (tag, name, value)
        assert not name.startswith("on"), (tag, name, value)
        assert not re.match(r"(https?:|//|javascript:)", value or ""), (tag, name, value)
    assert "@import" not in "".join(ordinary.texts)
    assert "url(" not in "".join(ordinary.texts)


def test_a_plot_has_a_title_words_and_a_table(ordinary: Outline):
    plots = ordinary.values("class").count("plot wide")
    assert plots == ordinary.values("class").count("plot narrow") == 4
    assert ordinary.tags.count("desc") == ordinary.tags.count("title") - 1 == 2 * plots
    assert ordinary.values("class").count("figures") == plots
    assert ordinary.tags.count("caption") == ordinary.tags.count("table")
    assert {scope for tag, name, scope in ordinary.attributes if (tag, name) == ("th", "scope")} == {"col", "row"}


@pytest.mark.parametrize("name", [*HOSTILE, *MARKUP])
def test_a_name_is_only_a_text(name: str, ordinary: Outline):
    evil = {**HOSTILE, **MARKUP}[name]
    made = page(with_name(evil))
    outline = Outline(made)
    assert (outline.wrong, outline.open) == ([], [])
    assert set(outline.tags) <= set(ordinary.tags) | {"article"}
    assert {found for _, found, _ in outline.attributes} <= {found for _, found, _ in ordinary.attributes}
    assert harmful("".join(outline.texts).replace("\n", "")) == ""
    made.encode()
    assert len(made) < 1_500_000
    if name in MARKUP:
        assert evil in " ".join(outline.texts)


def test_a_secret_is_masked_wherever_it_stands():
    secret = "correct<horse&battery"
    Secret(secret)
    made = page(with_name(f"the password is {secret}, you know"))
    assert made.count("***") > 20
    assert "horse" not in made
    assert "battery" not in made
    assert "the password is ***" in made


def test_a_secret_is_masked_whole_although_its_escaped_form_is_known_too():
    """As of a DSN: the fragments of the one are parts of the other."""
    Secret("superuser%27s%20p%40ss%2Fword")
    Secret("superuser's p@ss/word")
    assert redact("x superuser's p@ss/word y") == "x *** y"


def test_a_secret_that_is_a_word_of_ours_spoils_nothing():
    before = page(whole())
    Secret("script")
    assert page(whole()) == before


def test_a_secret_that_is_the_users_name_is_not_told_by_a_mask():
    """Where the target's name is read by everybody, `***` in place of the same name would tell what the password is."""
    before = page(whole())
    Secret("app")
    assert page(whole()) == before


@pytest.mark.parametrize("part", ["examination", "leaks", "simulation", "advice", "traced"])
def test_what_was_not_looked_at_is_said(part: str):
    names = {
        "examination": "check",
        "simulation": "simulate",
        "advice": "recommend",
        "traced": "trace",
        "leaks": "leaks",
    }
    nothing: dict[str, Any] = {part: None}
    told = replace(whole(), **nothing, absent={names[part]: ("the moon was in the way", "dbdoctor look up")})
    made = page(replace(told, timeline=() if part == "leaks" else told.timeline))
    assert "The moon was in the way." in made
    assert "dbdoctor look up" in made


def test_a_report_of_nothing_is_a_page():
    made = page(WholeReport("nothing", 0.0, "0.1.0", "from nothing"))
    assert Outline(made).wrong == []
    assert "Nothing was found." in made


def test_a_failure_is_the_first_thing_to_be_seen():
    broken = examination(connected=False, facts=None, findings=(replace(reports.IDLE_FINDING, code="refused"),))
    told = WholeReport("postgresql://db", 0.0, "0.1.0", "looked at live", examination=broken)
    assert "cannot be used" in page(told).partition("<main>")[0]
    assert summary_words(told) == "postgresql://db: cannot be used (1 error)"


def test_a_finding_is_told_once_and_the_worst_first():
    both = whole(examination=examination(findings=(reports.IDLE_FINDING,)))
    severities = [told.finding.severity.rank for told in both.told]
    assert severities == sorted(severities, reverse=True)
    assert [told.finding.code for told in both.told].count("idle-in-transaction") == 1


def test_a_recording_is_reported_with_its_course():
    outline = Outline(page(of_recording()))
    said = " ".join(outline.texts)
    assert "engine-per-request" in said
    assert outline.values("class").count("plot wide") == 2  # sessions, slots
    assert "A recording holds sessions only." in said


def test_thousands_of_groups_stay_a_page_that_opens():
    groups = tuple(
        reports.group(f"application {number}", sessions=1 + number % 7, client=f"10.0.{number // 256}.{number % 256}")
        for number in range(3_000)
    )
    leaks = reports.report(groups=groups, findings=(reports.IDLE_FINDING,) * 1)
    many = {group.key: Span(1, 2) for group in groups[:100]}
    told = whole(leaks=leaks, timeline=tuple(Moment(float(at), float(at), many) for at in range(240)))
    made = page(told)
    assert len(made) < 600_000
    assert "2950 more groups" in made
    assert "93 other groups together" in made


def test_a_process_that_was_found_late_has_one_line():
    late = GroupKey("web", "app", "shop", "10.0.0.7", None)
    known = reports.group(process=77, sessions=4)
    moments = (Moment(0.0, 0.0, {late: Span(4, 4)}), Moment(1.0, 1.0, {known.key: Span(4, 4)}))
    made = page(whole(leaks=reports.report(groups=(known,)), timeline=moments))
    assert "A, web app@shop from 10.0.0.7 pid 77: from 4 to 4, 4 at most." in made


def test_texts_are_escaped_and_markup_is_not():
    assert el("p", "<b>", Markup("<i>x</i>"), None, [el("br"), "&"], class_='a"b', hidden=True, id=None) == (
        '<p class="a&quot;b" hidden>&lt;b&gt;<i>x</i><br>&amp;</p>'
    )
    assert escape("a\x1b[0m\u202e") == "a\\u001b[0m\\u202e"
    assert lines("a\nb<") == "a\nb&lt;"


@pytest.mark.parametrize("high", [0, 1, 2, 3, 7, 10, 97, 100, 12345])
def test_ticks_cover_what_is_counted_in_whole_steps(high: int):
    found = ticks(high)
    assert found[0] == 0
    assert found[-1] >= high
    assert found[-1] - found[1] <= max(high, 1)
    assert len(found) <= 8
    assert all(one == int(one) for one in found)


@pytest.mark.parametrize("seconds", [0.5, 9, 24, 61, 3600, 90_000, 40 * 86400.0])
def test_ticks_of_time_are_few_and_within(seconds: float):
    found = time_ticks(seconds)
    assert 1 <= len(found) <= 8
    assert found[-1] <= seconds


def test_places_keep_apart_and_inside():
    placed = spread([10, 10, 10, 200, 201], 12, 0, 205)
    assert sorted(placed) == placed
    assert all(second - first >= 12 - 1e-9 for first, second in itertools.pairwise(placed))
    assert placed[-1] <= 205


def test_a_scale_by_decades_and_what_is_beyond_it():
    scale = Scale(0.001, 1.0, 300, 0, log=True)
    assert scale.at(0.001) == 300
    assert scale.at(0.1) == pytest.approx(100)
    assert scale.at(float("inf")) == 0
    assert scale.at(0.0) == 300
    assert decades(0.0001, 0.3) == pytest.approx([0.0001, 0.001, 0.01, 0.1, 1.0])


def test_the_style_and_the_script_are_those_that_the_policy_allows(tmp_path: Path):
    import base64
    import hashlib

    made = page(WholeReport("x", 0.0, "1", "y"))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert policy
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", made, re.DOTALL)
        assert text
        digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy[1]
