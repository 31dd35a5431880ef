"""Who holds sessions: the groups with their verdicts, and how many sessions each had over time."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.leaks import GroupKey, GroupReport, LeaksReport, Verdict
from dbdoctor.model.report import WholeReport
from dbdoctor.render.leaks_words import (
    WORD,
    age,
    gap_words,
    growth,
    growth_range,
    more_groups,
    no_sessions,
    observed_words,
)
from dbdoctor.render.report.course import over_time
from dbdoctor.render.report.figure import Table, table_of
from dbdoctor.render.report.html import Child, Markup, el, escape, join, name
from dbdoctor.render.report.pieces import absent, badge, items, number, section

_MOST_GROUPS = 50
_MOST_REASONS = 5
_BADGE = {Verdict.LEAK: "error", Verdict.SUSPECT: "warning", Verdict.UNKNOWN: "unknown", Verdict.OK: "ok"}


def sessions(report: WholeReport) -> Markup:
    """The section."""
    leaks = report.leaks
    if leaks is None:
        return section("sessions", "Sessions", absent(report.absent.get("leaks")))
    gaps = [escape(gap_words(gap)) for gap in leaks.observed.gaps]
    return section(
        "sessions",
        "Sessions",
        el("p", f"Watched: {observed_words(leaks)}."),
        join(el("p", "Nobody could look in these times, which are no drop to zero:"), items(gaps, 5, "gaps"))
        if gaps
        else None,
        over_time(leaks, report.timeline),
        _groups(leaks),
    )


# The table


def _groups(leaks: LeaksReport) -> Markup:
    if not leaks.groups:
        return el("p", no_sessions(leaks))
    shown = leaks.groups[:_MOST_GROUPS]
    columns = (
        "group",
        "verdict",
        "sessions",
        "active",
        "idle",
        "in transaction",
        "oldest transaction",
        "longest idle",
        "a minute",
    )
    table = table_of(
        Table("groups of sessions, the worst first", columns, [row for group in shown for row in _rows(group)])
    )
    more = el("p", more_groups(leaks.groups[_MOST_GROUPS:])) if len(leaks.groups) > _MOST_GROUPS else None
    return join(el("h3", "Groups"), table, more)


def _rows(group: GroupReport) -> Iterator[list[Child]]:
    """The figures, and beneath them why it is what it is."""
    yield [
        join(name(group.key.application or "(no name)"), el("br"), el("span", _where(group.key), class_="quiet")),
        badge(_BADGE[group.verdict], WORD[group.verdict]),
        *(
            number(str(count))
            for count in (group.sessions, group.active, group.idle, group.idle_in_transaction)
        ),
        number(age(group.oldest_transaction) or "-"),
        number(age(group.longest_idle) or "-"),
        number(join(growth(group.trend) or "-", el("br"), el("span", growth_range(group.trend), class_="quiet"))),
    ]  # fmt: skip
    if why := _why(group):
        yield [why]


def _where(key: GroupKey) -> Markup:
    account = "@".join(part for part in (key.user, key.database) if part)
    parts = [name(account)] if account else []
    parts += [join("from ", name(key.client))] if key.client else []
    parts += [Markup(f"pid {key.process:d}")] if isinstance(key.process, int) else []
    return Markup(" ".join(parts))


def _why(group: GroupReport) -> Markup | None:
    reasons = [escape(reason) for reason in group.reasons]
    reasons += [escape(held.shown) for held in group.held]
    if group.settled:
        reasons.append(escape(group.settled))
    if group.spared:
        reasons.append(escape(f"not judged: {group.spared}"))
    if group.verdict is Verdict.OK and not group.spared and not group.settled:
        return None
    return items(reasons, _MOST_REASONS, "reasons")
