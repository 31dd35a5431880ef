"""The report in a real Chromium: nothing on its console, nothing asked for, everything there, on a desk and on a phone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbdoctor.render.report.page import SECTIONS, page
from tests.browser.chromium import Browser, browser
from tests.render import reports
from tests.render.hostile import HOSTILE
from tests.render.whole import of_recording, whole, with_name

pytestmark = pytest.mark.xdist_group("chromium")  # one Chromium for all of them
EVIL = (
    "</script><script>window.evil = 1</script><img src='http://127.0.0.1:9/x' onerror='window.evil = 1'>\u202e"
    '" onload="window.evil = 1'
)
# Of two colours as WCAG 2.2 has it, of every text that is seen, against what is painted behind it.
CONTRAST = """
(() => {
  const channel = (one) => { const c = one / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = numbers(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = {};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.getClientRects().length) continue;
    if (["SCRIPT", "TITLE", "DESC"].includes(node.tagName.toUpperCase())) continue;
    const style = getComputedStyle(node);
    const ink = light(numbers(node.closest("svg") ? style.fill : style.color)), page = light(behind(node));
    const ratio = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
    if (ratio < 4.5) bad[node.tagName + "." + (node.getAttribute("class") || "")] = ratio;
  }
  return bad;
})()
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by name."""
    place = tmp_path_factory.mktemp("pages")
    made = {"whole": whole(place), "recording": of_recording(), "evil": with_name(EVIL)}
    made["long"] = with_name("A" * 1_000_000)
    made["others"] = replace(whole(), notes=tuple(HOSTILE.values()))
    made["nothing"] = replace(whole(), examination=None, leaks=None, timeline=(), simulation=None, advice=None)
    for name, report in made.items():
        (place / f"{name}.html").write_text(page(report))
    return {name: place / f"{name}.html" for name in made}


PAGES = ("whole", "recording", "evil", "long", "others", "nothing")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (360, 740)])
def test_a_page_says_nothing_asks_for_nothing_and_fits(
    chromium: Browser, places: dict[str, Path], name: str, width: int, height: int
) -> None:
    chromium.open(places[name], width=width, height=height)
    assert chromium.value("window.evil") is None
    assert chromium.value("document.documentElement.scrollWidth") == width
    shown = "[...document.querySelectorAll('main > section')].filter(one => one.getBoundingClientRect().height > 40)"
    assert chromium.value(f"{shown}.map(one => one.id)") == list(SECTIONS)
    assert chromium.value("[...document.querySelectorAll('main img, main iframe, main object')].length") == 0
    assert chromium.messages == []
    assert chromium.requests == [places[name].as_uri()]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_text_can_be_read(chromium: Browser, places: dict[str, Path], dark: bool, width: int) -> None:
    chromium.open(places["whole"], dark=dark, width=width)
    chromium.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert chromium.value(CONTRAST) == {}
    background = chromium.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark


@pytest.mark.parametrize("width", [1280, 360])
def test_words_in_plots_are_readable_and_inside(chromium: Browser, places: dict[str, Path], width: int) -> None:
    chromium.open(places["whole"], width=width)
    sizes = chromium.value(
        "[...document.querySelectorAll('svg.plot text')].filter(one => one.getClientRects().length).map(one => {"
        " const box = one.getBoundingClientRect(), plot = one.ownerSVGElement.getBoundingClientRect();"
        " return [one.textContent, box.height, box.left - plot.left, plot.right - box.right] })"
    )
    assert len(sizes) > 40
    assert [one for one in sizes if one[1] < 11] == []
    assert [one for one in sizes if min(one[2], one[3]) < -1] == []


def test_a_button_copies_its_own_command(chromium: Browser, places: dict[str, Path]) -> None:
    chromium.open(places["whole"])
    chromium.value("document.execCommand = () => { window.copied = String(getSelection()); return true }")
    chromium.value("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    chromium.value("document.querySelector('#findings .command button').click()")
    assert chromium.value("window.copied") == reports.IDLE_FINDING.command
    assert chromium.value("document.getElementById('said').textContent") == "Copied"
    names = chromium.value("[...document.querySelectorAll('button')].map(one => one.getAttribute('aria-label'))")
    assert all(name.startswith("Copy: ") for name in names)


def test_without_a_script_everything_is_there_but_the_buttons(chromium: Browser, places: dict[str, Path]) -> None:
    chromium.open(places["whole"], script=False)
    root = chromium.call("DOM.getDocument", depth=1)["root"]["nodeId"]
    html = chromium.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
    assert 'hidden=""' in html
    assert reports.IDLE_FINDING.title in html
    assert chromium.messages == []


def test_the_outline_is_one_that_a_screen_reader_can_follow(chromium: Browser, places: dict[str, Path]) -> None:
    chromium.open(places["whole"])
    tree = chromium.call("Accessibility.getFullAXTree")["nodes"]
    roles: dict[str, list[str]] = {}
    for node in tree:
        if not node.get("ignored"):
            roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    levels = chromium.value("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(second - first <= 1 for first, second in itertools.pairwise(levels))
    assert len(roles["image"]) == 4
    assert all(roles["image"])
    assert all(roles["table"])
    assert all(name for name in roles["region"])
    assert all(roles["button"])
    assert {"banner", "main", "navigation"} <= set(roles)


def test_in_print_everything_is_unfolded_and_nothing_is_dark(
    chromium: Browser, places: dict[str, Path], tmp_path: Path
) -> None:
    chromium.open(places["whole"], dark=True, media="print")
    assert chromium.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    shown = (
        "[...document.querySelectorAll('details table')].filter(one => one.getBoundingClientRect().height > 20).length"
    )
    assert chromium.value(shown) == chromium.value("document.querySelectorAll('details table').length")
    assert chromium.pdf(tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert chromium.messages == []
