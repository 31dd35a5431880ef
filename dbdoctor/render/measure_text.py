"""`measure-timeout` for people: the value with its bracket, how and where, what follows, and a last line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding
from dbdoctor.model.measured import Ghosts, Measured
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.finding import by_severity, finding_lines
from dbdoctor.render.measure_words import bracket_words, how_words, where_words
from dbdoctor.render.style import Style

_NAME = 13


def measured_lines(measured: Measured, findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """The whole answer."""
    yield ""
    for name, text in _rows(measured):
        yield fill(clean(text), style.width, " " * (_NAME + 2), f"  {name:<{_NAME - 1}} ")
    for finding in by_severity(tuple(findings)):
        yield ""
        yield from finding_lines(finding, style)
        if finding.command and finding.severity.value == "info":
            for line in finding.command.split("\n"):
                yield f"      {style.paint(clean(line), 'green')}"
    for note in measured.notes:
        yield ""
        yield fill(f"note: {clean(note)}", style.width, "  ", "")
    yield ""
    yield _summary(measured, style)


def _rows(measured: Measured) -> Iterator[tuple[str, str]]:
    if measured.seconds is not None:
        yield "idle timeout", f"{format_duration(measured.seconds)} ({bracket_words(measured)})"
        yield "how", how_words(measured)
        yield "where", where_words(measured)
        if measured.likely:
            yield from _look_alikes(measured)
    else:
        yield "idle timeout", _nothing(measured)
    if measured.keepalive_resets_it is not None:
        does = (
            "keeps connections alive" if measured.keepalive_resets_it else "does not help: it is not counted as traffic"
        )
        yield "keepalive", f"TCP keepalive {does}"
    ghosts = measured.ghosts
    if ghosts is not None:
        yield "on the server", _ghosts(ghosts)
    yield "connections", f"{measured.opened} opened, {measured.seen} found ended, in {format_duration(measured.took)}"


def _ghosts(ghosts: Ghosts) -> str:
    if not ghosts.sessions:
        return f"none of our {ghosts.looked_for} sessions outlived its connection"
    kept = f", and would be kept for {format_duration(ghosts.kept_seconds)}" if ghosts.kept_seconds else ""
    ended = "; we ended them" if ghosts.ended == ghosts.sessions else f"; we ended {ghosts.ended}"
    return f"{ghosts.sessions} of our {ghosts.looked_for} sessions outlived their connections{kept}{ended}"


def _look_alikes(measured: Measured) -> Iterator[tuple[str, str]]:
    name = "looks like"
    for device in measured.likely:
        source = f", {device.source}" if device.source else ""
        yield name, f"{device.name} ({format_duration(device.seconds)}; {device.mark}{source}, {device.date})"
        name = ""


def _nothing(measured: Measured) -> str:
    if measured.answered:
        return f"none up to {format_duration(measured.options.up_to)}"
    return f"not known yet: {bracket_words(measured)}"


def _summary(measured: Measured, style: Style) -> str:
    shown = clean(measured.target.profile or measured.target.shown, 120)
    if measured.seconds is not None:
        word, colour = format_duration(measured.seconds), "yellow"
        rest = f"idle timeout of {shown}, {measured.drop.value}, measured in {format_duration(measured.took)}"
    elif measured.answered:
        word, colour = "none", "green"
        rest = f"no idle timeout up to {format_duration(measured.options.up_to)} on the way to {shown}"
    else:
        word, colour = "not measured", "yellow"
        stopped = "interrupted" if measured.interrupted else "given up"
        rest = f"{shown}, {stopped} after {format_duration(measured.took)}; {bracket_words(measured)}"
    text = f"{word}: {rest}"
    text = fill(text, style.width, "  ", "") if style.terminal else text
    return text.replace(word, style.paint(word, colour, bold=True), 1)
