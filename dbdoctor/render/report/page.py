"""The page: a head that allows nothing from elsewhere, the sections in the order in which one reads them, and an end."""

from __future__ import annotations

from collections.abc import Callable

from dbdoctor.model.report import WholeReport
from dbdoctor.render.report.assets import policy, script, style
from dbdoctor.render.report.findings import findings
from dbdoctor.render.report.html import Markup, el, escape
from dbdoctor.render.report.recommended import recommended
from dbdoctor.render.report.recorded import recorded
from dbdoctor.render.report.safe import redacted
from dbdoctor.render.report.sessions import sessions
from dbdoctor.render.report.slots import slots
from dbdoctor.render.report.stages import stages
from dbdoctor.render.report.summary import head, summary
from dbdoctor.render.report.timeouts import timeouts

SECTIONS: dict[str, tuple[str, Callable[[WholeReport], Markup]]] = {
    "summary": ("Summary", summary),
    "findings": ("Findings", findings),
    "sessions": ("Sessions", sessions),
    "slots": ("Slots and forecast", slots),
    "stages": ("Connecting", stages),
    "timeouts": ("Timeouts", timeouts),
    "settings": ("Settings", recommended),
    "code": ("Lines of code", recorded),
}
"""By the id of a section: its name in the list of contents, and what makes it."""


def page(report: WholeReport) -> str:
    """The whole file. Nothing in it is secret, and nothing in it does anything but what its own small script does."""
    safe = redacted(report)
    contents = el("ul", [el("li", el("a", title, href=f"#{key}")) for key, (title, _) in SECTIONS.items()])
    body = el(
        "body",
        el("a", "Skip to the findings", href="#findings", class_="skip"),
        el("header", head(safe), el("nav", contents, aria_label="Contents")),
        el("main", [make(safe) for _, make in SECTIONS.values()]),
        el("footer", el("p", "This file needs nothing beside itself: no network, no other file.", class_="quiet")),
        el("p", id="said", role="status", class_="skip"),
        el("script", Markup(script())),
    )
    return f"<!DOCTYPE html>\n{el('html', _head(safe), body, lang='en')}\n"


def _head(report: WholeReport) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy()),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", escape(f"dbdoctor report: {report.target}", 200)),
        el("link", rel="icon", href="data:,"),
        el("style", Markup(style())),
    )
