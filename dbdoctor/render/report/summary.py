"""The report's beginning: what it is of, from when, the verdict, and the figures that matter most."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.leaks import Verdict
from dbdoctor.model.report import WholeReport
from dbdoctor.model.stage import StageName
from dbdoctor.model.trial import Outcome
from dbdoctor.render.leaks_words import clock, grouped, observed_words, server_words, slots_words
from dbdoctor.render.report.html import Child, Markup, el, escape, join, name
from dbdoctor.render.report.pieces import badge, items, pairs, section
from dbdoctor.render.report.words import counted_findings, verdict

_MOST_NOTES = 20


def head(report: WholeReport) -> Markup:
    """Above everything: of what, and the verdict."""
    kind, words = verdict(report)
    when = clock(report.made_at, date=True)
    return join(
        el("p", "dbdoctor report", class_="quiet"),
        el("h1", name(report.target, 300)),
        el("p", badge(kind, words), " ", counted_findings(report)),
        el(
            "p",
            f"{report.source}; written ",
            el("time", when, datetime=when),
            f" by dbdoctor {report.version}",
            class_="quiet",
        ),
    )


def summary(report: WholeReport) -> Markup:
    """The section."""
    tiles = el("ul", [el("li", el("b", figure), words) for figure, words in _tiles(report)], class_="tiles")
    told = [el("a", one.finding.title, href=f"#finding-{number}") for number, one in enumerate(report.told)]
    first = join(el("h3", "Found"), items(told, 10, "findings")) if told else None
    notes = [escape(note) for note in _notes(report)]
    return section(
        "summary",
        "Summary",
        tiles,
        pairs(_rows(report)),
        first,
        join(el("h3", "Notes"), items(notes, _MOST_NOTES, "notes")) if notes else None,
    )


def _tiles(report: WholeReport) -> Iterator[tuple[str, str]]:
    examination, leaks = report.examination, report.leaks
    if examination is not None:
        done = sum(one.ok for one in examination.stages)
        yield f"{done} of {max(len(StageName), len(examination.stages))}", "stages of connecting"
    if leaks is not None:
        yield str(sum(group.sessions for group in leaks.groups)), f"sessions of others, in {len(leaks.groups)} groups"
        yield str(sum(group.verdict is Verdict.LEAK for group in leaks.groups)), "groups that leak"
    slots = leaks.slots if leaks is not None else None
    slots = slots or (examination.facts.slots if examination is not None and examination.facts is not None else None)
    if slots is not None:
        yield str(slots.free), f"slots free of {slots.limit - slots.reserved}"
    if report.simulation is not None:
        tried = [case for case in report.simulation.cases if case.testable]
        survived = sum(case.outcome is Outcome.SURVIVES for case in tried)
        yield f"{survived} of {len(tried)}", "trials of pools survived"
    if report.advice is not None and report.advice.recommendation.connections is not None:
        yield str(report.advice.recommendation.connections), "connections in a process recommended"


def _rows(report: WholeReport) -> Iterator[tuple[str, Child]]:
    leaks, examination = report.leaks, report.examination
    facts = (leaks.facts if leaks else None) or (examination.facts if examination else None)
    if facts is not None:
        yield "Server", escape(server_words(facts, leaks.observed.until if leaks else None))
    if leaks is not None:
        yield "Watched", f"{observed_words(leaks)}, until {clock(leaks.observed.until, date=True)}"
        if leaks.groups:
            yield "Groups", grouped(leaks)
        if leaks.slots is not None:
            yield "Slots", slots_words(leaks.slots)


def _notes(report: WholeReport) -> tuple[str, ...]:
    """Of every part, each once."""
    parts = (
        report.notes,
        report.examination.notes if report.examination else (),
        report.leaks.notes if report.leaks else (),
        report.simulation.notes if report.simulation else (),
    )
    return tuple(dict.fromkeys(note for notes in parts for note in notes))
