"""`check` for people: stages as they happen, facts, findings, and a last line that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Severity
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.stage import Stage
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.finding import by_severity, finding_lines, skipped_lines
from dbdoctor.render.style import SEVERITY_COLOUR, Style


def stage_lines(stage: Stage, style: Style) -> Iterator[str]:
    """One line for a stage that ended, and one for each address where there were several."""
    word = style.paint("ok    ", "green") if stage.ok else style.severity("error", "failed")
    head = f"  {stage.name.value:<8} {'ok    ' if stage.ok else 'failed'} {format_duration(stage.seconds):>8}  "
    text = fill(clean(stage.detail), style.width, " " * len(head), head)
    yield text.replace("ok    " if stage.ok else "failed", word, 1)
    for line in stage.lines:
        yield fill(clean(line), style.width, " " * (len(head) + 2), " " * len(head))


def result_lines(examination: Examination, style: Style) -> Iterator[str]:
    """All that follows the stages."""
    if examination.facts is not None:
        yield ""
        for name, text in fact_rows(examination):
            yield fill(clean(text), style.width, " " * 13, f"  {name:<10} ")
    for finding in by_severity(examination.findings):
        yield ""
        yield from finding_lines(finding, style)
    for skipped in examination.skipped:
        yield ""
        yield from skipped_lines(skipped, style)
    yield ""
    yield summary(examination, style)


def fact_rows(examination: Examination) -> Iterator[tuple[str, str]]:
    """(name, what it is) of the facts worth a line."""
    facts = examination.facts
    if facts is None:
        return
    role = {True: "standby", False: "primary", None: "role unknown"}[facts.is_standby]
    uptime = f", up {format_duration(facts.uptime)}" if facts.uptime is not None else ""
    lag = f", {format_duration(facts.replica_lag)} behind" if facts.replica_lag is not None else ""
    yield "server", f"{facts.product} {facts.version}, {role}{lag}{uptime}"
    if facts.pooler:
        mode = f", {facts.pooler.mode} mode" if facts.pooler.mode else ""
        yield "pooler", f"{facts.pooler.name}{mode} in between"
    if facts.slots:
        slots = facts.slots
        usable = slots.limit - slots.reserved
        yield (
            "sessions",
            f"{slots.used} of {usable} in use, {slots.free} free ({slots.limit} in all, {slots.reserved} reserved)",
        )
    for limit in facts.limits:
        yield "limit", f"{limit.of} {limit.name}: {'?' if limit.used is None else limit.used} of {limit.limit} in use"
    cost = cost_line(examination)
    if cost:
        yield "cost", cost
    yield "timeouts", _timeouts(facts)


def cost_line(examination: Examination) -> str | None:
    """What a login costs against a round trip: the difference is what a pool saves."""
    timings = examination.timings
    if timings is None or not timings.logins or not timings.round_trips:
        return None
    login, trip = timings.login_median, timings.round_trip_median
    count = len(timings.logins)
    worst = f" (worst {format_duration(max(timings.logins))} of {count})" if count > 1 else ""
    slowest = f" (worst {format_duration(max(timings.round_trips))})" if count > 1 else ""
    note = f"; {examination.timings_note}" if examination.timings_note else ""
    trips = f"round trip {format_duration(trip)}{slowest}"
    return f"login {format_duration(login)}{worst}, {trips}: a pool saves the difference{note}"


def summary(examination: Examination, style: Style) -> str:
    """The last line: the target, and what is wrong with it, in words that stand alone.

    It is wrapped on a terminal only: elsewhere `tail -1` and grep are to find it whole.
    """
    word, colour, rest = verdict_parts(examination)
    return _wrapped(f"{word}: {rest}", style).replace(word, style.paint(word, colour, bold=True), 1)


def _wrapped(text: str, style: Style) -> str:
    return fill(text, style.width, "  ", "") if style.terminal else text


def verdict_parts(examination: Examination) -> tuple[str, str, str]:
    """(word, colour, all the rest)."""
    shown = clean(examination.target.profile or examination.target.shown, 120)
    took = format_duration(examination.seconds)
    if not examination.connected:
        codes = ", ".join(f.code for f in examination.findings if f.severity is Severity.ERROR)
        return "cannot be used", SEVERITY_COLOUR["error"], f"{shown} [{codes}] after {took}"
    count = _counted(examination)
    if count:
        worst = (examination.worst or Severity.INFO).value
        return "reachable", SEVERITY_COLOUR[worst], f"{shown}, {count} in {took}"
    return "healthy", "green", f"{shown} in {took}"


def fleet_summary(examinations: Sequence[Examination], seconds: float, style: Style) -> str:
    """The last line for several targets."""
    down = sum(not examination.connected for examination in examinations)
    bad = sum(examination.connected and _judged(examination) for examination in examinations)
    well = len(examinations) - down - bad
    counts = f"{well} healthy, {bad} with findings, {down} unreachable"
    return _wrapped(f"{len(examinations)} targets: {counts}, in {format_duration(seconds)}", style)


def _judged(examination: Examination) -> bool:
    return any(finding.severity is not Severity.INFO for finding in examination.findings)


def _counted(examination: Examination) -> str:
    words = []
    for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning")):
        number = sum(finding.severity is severity for finding in examination.findings)
        if number:
            words.append(f"{number} {word}{'s' if number > 1 else ''}")
    return ", ".join(words)


def _timeouts(facts: ServerFacts) -> str:
    names = (
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
        "transaction_timeout",
        "tcp_keepalives_idle",
    )
    known = [(name, facts.settings[name]) for name in names if name in facts.settings]
    known = known or [(name, value) for name, value in facts.settings.items() if name.endswith("_timeout")]
    if not known:
        return "the server tells of none"
    return ", ".join(f"{name} {format_duration(value) if value else 'off'}" for name, value in known)


def fleet_lines(examination: Examination, style: Style) -> Iterator[str]:
    """One of several targets: a line when it is well, else with what is wrong with it."""
    yield summary(examination, style)
    narrower = style._replace(width=style.width - 2)
    if not examination.connected:
        for stage in examination.stages:
            if not stage.ok:
                yield from stage_lines(stage, style)
    for finding in by_severity(examination.findings):
        if finding.severity is not Severity.INFO:
            for block in finding_lines(finding, narrower):
                yield from (f"  {line}" for line in block.split("\n"))
